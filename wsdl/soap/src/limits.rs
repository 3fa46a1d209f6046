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
    /// How many times over the elements of a message that has references may be read because of them: shared
    /// values are few, and references to references multiply. 10.
    pub expansion: usize,
    /// What the items of lists take when read, in bytes: an empty element of seven bytes may stand for a structure
    /// of two thousand. 128 MiB.
    pub list_bytes: usize,
    /// Items that sparse arrays may leave out, in all (SOAP 1.1 §5.4.2.2). 1 000.
    pub sparse: usize,
    /// Attributes of one element. 64.
    pub attributes: usize,
    /// One value, in bytes. 16 MiB.
    pub value_bytes: usize,
}

impl Limits {
    /// The defaults, where a constant is wanted.
    pub const DEFAULT: Self = Self {
        message_bytes: 64 << 20,
        depth: 64,
        elements: 2_000_000,
        expansion: 10,
        list_bytes: 128 << 20,
        sparse: 1_000,
        attributes: 64,
        value_bytes: 16 << 20,
    };
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}
