//! The command `forewarm`.

/// A request allocates a dozen times; this one is quicker at it than that of glibc.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    forewarm::service::main()
}
