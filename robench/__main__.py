"""``python -m robench`` is the same as ``robench``."""

from robench.cli.main import run

if __name__ == "__main__":
    run()
