//! The command `forewarm`.

fn main() -> std::process::ExitCode {
    forewarm::service::main()
}
