"""`python -m jaxnet` and the command `jaxnet`."""

import os
import sys

from jaxnet.interrupts import end_process_on_interrupt


def main() -> int:
    """Run the command line, if what it needs is installed; returns the exit status."""
    end_process_on_interrupt()
    os.environ["MPLBACKEND"] = "agg"  # pictures are files
    try:
        from jaxnet.cli import main as cli
    except ModuleNotFoundError as error:
        if error.name not in ("tyro", "rich", "matplotlib", "jinja2"):
            raise
        print(
            f"jaxnet: the command line needs {error.name}: pip install 'jaxnet-mlp[cli]'",
            file=sys.stderr,
        )
        return 2
    except ValueError as error:  # of a variable of the environment, such as JAX_ENABLE_X64=maybe
        print(f"jaxnet: JAX cannot start: {error}; unset it or correct it.", file=sys.stderr)
        return 2
    from jaxnet.acceleration import compilation_cache

    try:
        compilation_cache.use_compilation_cache()
    except (OSError, RuntimeError) as error:  # of a home that cannot be written, or that is none
        if (named := os.environ.get(compilation_cache.VARIABLE)) is not None:
            print(
                f"jaxnet: warning: {compilation_cache.VARIABLE}={named} cannot be written, so that "
                f"programs are compiled anew: {error}.",
                file=sys.stderr,
            )
    status = cli.main()
    if status == 130:
        compilation_cache.seal()
        # XLA's threads may be at work still, and do not survive an orderly end of the interpreter.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    return status


if __name__ == "__main__":
    sys.exit(main())
