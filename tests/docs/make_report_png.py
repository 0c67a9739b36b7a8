"""Makes docs/report.png anew: runs the Python of README.md and shrinks the picture it plots.

PYTHONPATH=backend .venv/bin/python tests/docs/make_report_png.py
"""

import os
import tempfile

from documents import ROOT, blocks_of
from PIL import Image


def main() -> None:
    """Plot in a temporary folder, then keep the picture with 128 colours."""
    target = ROOT / "docs" / "report.png"
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        for block in blocks_of("README.md"):
            if block.kind == "python":
                exec(block.text, {})
        with Image.open("report.png") as plotted:
            plotted.convert("RGB").quantize(128).save(target, optimize=True)
    print(f"{target}: {target.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
