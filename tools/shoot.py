"Photograph pages of `_site` with headless chromium: python -m tools.shoot core transfer (PNG files beside the pages)."
import subprocess, sys
from pathlib import Path

from PIL import Image, ImageChops

site = Path("_site/site").resolve()
flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--hide-scrollbars", "--window-size=1280,12000"]


def shoot(page: str) -> Path:
    "Render one page, cut off the empty space below it, and return the path of the picture."
    png = site / f"{page}.png"
    subprocess.run(["chromium-headless-shell", *flags, f"--screenshot={png}", f"file://{site}/{page}.html"], check=True, capture_output=True)
    image = Image.open(png).convert("RGB")
    middle = image.crop((280, 0, 1000, image.height - 200)) # the text column, without the footer
    bottom = ImageChops.difference(middle, Image.new("RGB", middle.size, "white")).getbbox()[3]
    image.crop((0, 0, image.width, bottom + 20)).save(png)
    return png


if __name__ == "__main__":
    for page in sys.argv[1:]: print(shoot(page))
