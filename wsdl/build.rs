//! Generates the types and the registry from the definitions beside this file.

fn main() -> Result<(), soapstone_codegen::Error> {
    soapstone_codegen::Config::new()
        .definitions("definitions")
        .file_name("portabilling.rs")
        .wide_integers(true)
        .exact_floats(true)
        .compile()?;
    Ok(())
}
