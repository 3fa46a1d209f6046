//! Makes `library.rs` of `library.wsdl`.
fn main() -> Result<(), soapstone_codegen::Error> {
    soapstone_codegen::Config::new()
        .definition("library.wsdl")
        .strict(true)
        .file_name("library.rs")
        .compile()?;
    Ok(())
}
