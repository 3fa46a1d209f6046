//! How much of a foreign message is taken before it is refused: nothing that comes in is without a limit.

/// The limits of one message.
///
/// The defaults take a list of some thousand accounts and refuse what only an attacker or a broken server sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The message as it came, in bytes after any decompression. 64 MiB.
    pub message_bytes: usize,
    /// Elements inside elements. 64.
    pub depth: usize,
    /// Elements in all; those read again through a reference count again. 2 million.
    pub elements: usize,
    /// Attributes of one element. 64.
    pub attributes: usize,
    /// One value, in bytes. 16 MiB.
    pub value_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            message_bytes: 64 << 20,
            depth: 64,
            elements: 2_000_000,
            attributes: 64,
            value_bytes: 16 << 20,
        }
    }
}
