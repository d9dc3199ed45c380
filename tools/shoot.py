"Photograph pages of `_site`, as wide as a screen or a phone: python -m tools.shoot core transfer --width 390."
import argparse, shutil, subprocess, sys, tempfile
from pathlib import Path

from PIL import Image, ImageChops

site = Path("_site/site").resolve()
browsers = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
flags = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--disable-background-networking"]


def browser() -> str:
    "Path of a browser that takes pictures without a screen."
    found = next(filter(None, map(shutil.which, browsers)), None)
    return found or sys.exit(f"pictures need one of {', '.join(browsers)}; on Debian: apt-get install chromium")


def shoot(
    page: str, # Such as "core" or "explain/glossary"
    width: int = 1280, # Of the window, in pixels
    height: int = 12000, # No browser looks further down
) -> Path: # Of the picture, beside the page
    "Render one page and cut off the empty space below it."
    png = site / f"{page}_{width}.png"
    if not png.with_name(f"{Path(page).name}.html").exists(): sys.exit(f"no page {page}: run `make site` first")
    with tempfile.TemporaryDirectory() as folder:
        # a window is never narrower than 500 pixels, a frame may be
        frame = f'<iframe src="file://{site}/{page}.html" width={width} height={height} style="border: 0">'
        (outside := Path(folder, "frame.html")).write_text(f'<body style="margin: 0">{frame}</iframe>')
        window = [f"--window-size={max(width, 500)},{height}", f"--user-data-dir={folder}/profile"]
        picture = ["--virtual-time-budget=4000", f"--screenshot={png}", f"file://{outside}"]
        subprocess.run([browser(), *flags, *window, *picture], check=True, capture_output=True)
    image = Image.open(png).convert("RGB").crop((0, 0, width, height))
    sides = (280, 1000) if width > 1220 else (0, width)
    middle = image.crop((sides[0], 0, sides[1], height - 200)) # the text column, without the footer
    bottom = ImageChops.difference(middle, Image.new("RGB", middle.size, "white")).getbbox()[3]
    image.crop((0, 0, width, bottom + 20)).save(png)
    return png


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pages", nargs="+")
    parser.add_argument("--width", type=int, default=1280)
    args = parser.parse_args()
    for page in args.pages: print(shoot(page, args.width))
