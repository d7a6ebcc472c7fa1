"""Groups of tables, each with its own results and page."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Group:
    """A group of tables.

    Attributes
    ----------
    stem : str
        What the names of its results, its page and its pictures begin with.
    title : str
        Title of its page.
    rows : int
        Number of rows that larger tables are sampled to.
    role : str
        What the tables are to the detector of skae.
    """

    stem: str
    title: str
    rows: int
    role: str


_HELD_OUT = (
    "These tables are held out: the defaults of the detector were chosen on other tables, those "
    "of [the main page](adbench.md), and no choice was made by the figures on this one"
)

#: The groups by name.
GROUPS: dict[str, Group] = {
    "chosen": Group(
        "adbench",
        "Anomaly detection on ADBench",
        10_000,
        "The defaults of the detector of skae were chosen on these tables, so that its figures "
        "are somewhat better here than on tables that are new to it: see [the tables that are "
        "held out](adbench_heldout.md), and [the embeddings](adbench_embeddings.md).",
    ),
    "held-out": Group(
        "adbench_heldout",
        "Anomaly detection on ADBench: tables that are held out",
        3_000,
        f"{_HELD_OUT}.",
    ),
    "embeddings": Group(
        "adbench_embeddings",
        "Anomaly detection on ADBench: embeddings of images and texts",
        1_500,
        "The rows are embeddings of images by ResNet-18 and ViT, and of texts by BERT and RoBERTa; "
        f"most of the tables have more columns than rows. {_HELD_OUT}.",
    ),
}
