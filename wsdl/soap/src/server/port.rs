//! A port type with somebody behind it: the operations, and for each the method that carries it out.

use std::any::Any as StdAny;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use http::request::Parts;

use crate::{Call, Fault, Headers, Operation, Service, Structure, TypedFault, Version};

/// What a method knows of the request beside its parameter, and what it may say beside its answer.
pub struct Context {
    operation: &'static Operation,
    version: Version,
    headers: Headers,
    answer: Headers,
    request: Parts,
}

/// What came of a call.
pub struct Outcome {
    /// The answer, or the fault.
    pub result: Result<Box<dyn Structure>, TypedFault<dyn Structure>>,
    /// The header blocks that go with an answer; a fault has its own.
    pub headers: Headers,
}

/// What carries out an operation; generated code makes it of a server's method.
#[doc(hidden)]
pub type Method<C> = dyn Fn(<C as Call>::Request, Context) -> BoxFuture<'static, Carried<C>> + Send + Sync;

/// What a method has made of a call.
type Carried<C> = (Result<<C as Call>::Response, TypedFault<<C as Call>::Fault>>, Context);

/// The same of any type.
type Erased = dyn Fn(Box<dyn Structure>, Context) -> BoxFuture<'static, Outcome> + Send + Sync;

type Guard = dyn Fn(&Context) -> Result<(), Fault> + Send + Sync;

/// A service and what carries out its operations; the generated server traits make one of their implementations
/// (`.port()`).
///
/// What a method panics with is logged and becomes a fault.
#[derive(Clone)]
pub struct Port {
    service: &'static Service,
    /// Of each of the service's operations.
    methods: Vec<Option<Arc<Erased>>>,
    guard: Option<Arc<Guard>>,
    missing: fn(&Operation) -> Fault,
}

impl Context {
    /// The context of a call that doesn't come over SOAP; `request` is whatever HTTP request it comes with, if any.
    pub fn new(operation: &'static Operation, headers: Headers, request: Parts) -> Self {
        Self { operation, version: operation.version(), headers, answer: Headers::default(), request }
    }

    /// The same in the envelope of `version`.
    pub(super) fn in_version(self, version: Version) -> Self {
        Self { version, ..self }
    }

    /// What is to be done.
    pub fn operation(&self) -> &'static Operation {
        self.operation
    }

    /// The envelope that the request came in.
    pub fn version(&self) -> Version {
        self.version
    }

    /// The request's header block of type `T`, where it has one.
    pub fn header<T: Structure>(&self) -> Option<&T> {
        self.headers.get()
    }

    /// The request's header blocks, as far as the operation declares them.
    pub fn headers(&self) -> &Headers {
        &self.headers
    }

    /// The header blocks that the answer is to have; the operation must declare them.
    pub fn answer_headers(&mut self) -> &mut Headers {
        &mut self.answer
    }

    /// The HTTP request without its body: URI, header fields, extensions.
    pub fn request(&self) -> &Parts {
        &self.request
    }
}

impl Port {
    /// A service that answers every call with [`Fault::not_implemented`].
    pub fn new(service: &'static Service) -> Self {
        let methods = service.operations.iter().map(|_| None).collect();
        Self { service, methods, guard: None, missing: Fault::not_implemented }
    }

    /// The same with what carries out the operation `C`, which must be one of the service's.
    #[doc(hidden)]
    pub fn with<C: Call>(
        mut self,
        method: impl Fn(C::Request, Context) -> BoxFuture<'static, Carried<C>> + Send + Sync + 'static,
    ) -> Self {
        let erased: Arc<Erased> = Arc::new(move |parameter, context| {
            let parameter: Box<dyn StdAny> = parameter;
            match parameter.downcast::<C::Request>() {
                Ok(parameter) => method(*parameter, context).map(erase::<C>).boxed(),
                Err(_) => futures::future::ready(Outcome::of(wrong_parameter())).boxed(),
            }
        });
        let position = self.position(C::operation());
        if let Some(place) = position.and_then(|position| self.methods.get_mut(position)) {
            *place = Some(erased);
        }
        self
    }

    /// The same with what is asked before each call, implemented or not: authentication, say. It sees the headers
    /// and the HTTP request; its fault is the answer.
    pub fn guard(mut self, guard: impl Fn(&Context) -> Result<(), Fault> + Send + Sync + 'static) -> Self {
        self.guard = Some(Arc::new(guard));
        self
    }

    /// The same with another fault for what isn't implemented at all; methods that a server trait leaves as they are
    /// answer with the trait's `not_implemented`.
    pub fn otherwise(mut self, missing: fn(&Operation) -> Fault) -> Self {
        self.missing = missing;
        self
    }

    /// The service.
    pub fn service(&self) -> &'static Service {
        self.service
    }

    /// Carries out the call that `context` is of, with `parameter` of the operation's type.
    pub async fn call(&self, parameter: Box<dyn Structure>, context: Context) -> Outcome {
        let operation = context.operation;
        if let Some(Err(fault)) = self.guard.as_ref().map(|guard| guard(&context)) {
            return Outcome::of(fault);
        }
        let method = self.position(operation).and_then(|position| self.methods[position].clone());
        let Some(method) = method else { return Outcome::of((self.missing)(operation)) };
        // made inside as well: a method that isn't async at heart panics before there is anything to wait for
        let carried = AssertUnwindSafe(async { method(parameter, context).await }).catch_unwind().await;
        carried.unwrap_or_else(|panic| {
            let said = panic.downcast_ref::<&str>().copied();
            let said =
                said.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or_default();
            tracing::error!(
                service = operation.service,
                operation = operation.name,
                panic = said,
                "a method panicked"
            );
            Outcome::of(Fault::new("Server", format!("{} failed unexpectedly", operation.name)))
        })
    }

    fn position(&self, operation: &Operation) -> Option<usize> {
        self.service.operations.iter().position(|own| std::ptr::eq(*own, operation))
    }
}

impl Outcome {
    fn of(fault: Fault) -> Self {
        Self { result: Err(fault.into()), headers: Headers::default() }
    }
}

fn erase<C: Call>((result, context): Carried<C>) -> Outcome {
    let result = match result {
        Ok(response) => Ok(Box::new(response) as Box<dyn Structure>),
        Err(TypedFault { fault, detail, headers }) => {
            Err(TypedFault { fault, detail: detail.map(|detail| detail as Box<dyn Structure>), headers })
        }
    };
    Outcome { result, headers: context.answer }
}

fn wrong_parameter() -> Fault {
    Fault::new("Server", "the parameter is another operation's")
}
