"""Draw the picture of the README and of the first page: python docs/draw_digits.py."""

from io import BytesIO
from pathlib import Path

from PIL import Image
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.model_selection import train_test_split

from skae import AutoencoderTransformer
from skae.inspection import ComparisonDisplay

PICTURE = Path(__file__).parent / "_static" / "digits.png"
SIZES = (1, 2, 4, 8, 16)


def main():
    """Compare PCA and the autoencoder on digits that neither has seen."""
    X, y = load_digits(return_X_y=True)
    train, test, _, labels = train_test_split(X, y, test_size=0.4, random_state=0)
    models = {
        "PCA": [PCA(size).fit(train) for size in SIZES],
        "autoencoder": [
            AutoencoderTransformer(size, standardize=False, random_state=0).fit(train)
            for size in SIZES
        ],
    }
    display = ComparisonDisplay.from_estimators(models, test, labels, label_name="digit")
    drawn = BytesIO()
    display.figure_.savefig(drawn, dpi=110)
    # A palette keeps the file small.
    Image.open(drawn).convert("RGB").quantize(128).save(PICTURE, optimize=True)


if __name__ == "__main__":
    main()
