//! Generates the types and the registry from the definitions beside this file.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    soapstone_codegen::Config::new()
        .definitions("definitions")
        .file_name("portabilling.rs")
        .wide_integers(true)
        .exact_floats(true)
        .json(true)
        .compile()?;
    list(Path::new("definitions"))?;
    Ok(())
}

/// The definitions' own texts, for whoever serves them.
fn list(folder: &Path) -> io::Result<()> {
    let mut paths: Vec<PathBuf> =
        fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>()?;
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "wsdl"));
    paths.sort();
    let mut code = String::from("&[");
    for path in paths {
        let (name, path) = (path.file_name().unwrap_or_default(), fs::canonicalize(&path)?);
        let _ = write!(code, "({name:?}, include_str!({path:?})),");
    }
    code.push(']');
    let out = env::var_os("OUT_DIR").ok_or_else(|| io::Error::other("OUT_DIR is not set; cargo sets it"))?;
    fs::write(Path::new(&out).join("definitions.rs"), code)
}
