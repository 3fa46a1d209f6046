//! What is inside of every generated client, so that each of its methods is one call.

use crate::{Call, CallError, Client, Reply, Structure};

/// A client, where it calls, and the header blocks that its requests bear.
#[doc(hidden)]
pub struct Caller {
    client: Client,
    url: String,
    headers: Vec<Box<dyn Structure>>,
}

impl Caller {
    pub fn new(client: Client, url: String) -> Self {
        Self { client, url, headers: Vec::new() }
    }

    /// One more header block, for the operations that declare one of its type.
    pub fn header(&mut self, block: Box<dyn Structure>) {
        self.headers.push(block);
    }

    /// Calls the operation that `C` is.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn call<C: Call>(&self, request: &C::Request) -> Result<C::Response, CallError<C::Fault>> {
        Ok(self.call_with_headers::<C>(request).await?.answer)
    }

    /// The same with the header blocks of the answer.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn call_with_headers<C: Call>(
        &self,
        request: &C::Request,
    ) -> Result<Reply<C::Response>, CallError<C::Fault>> {
        let declared = C::operation().headers;
        let is_declared =
            |block: &&dyn Structure| declared.iter().any(|header| std::ptr::eq(header.shape, block.shape()));
        let headers: Vec<&dyn Structure> =
            self.headers.iter().map(|block| &**block).filter(is_declared).collect();
        self.client.call_typed::<C>(&self.url, &headers, request).await
    }
}
