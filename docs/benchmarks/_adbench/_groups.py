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
        "These tables are held out: the defaults of the detector of skae were chosen on the tables "
        "of [the main page](adbench.md). Alternatives to its score were later "
        "[compared on all tables](anomaly_views.md), and none was adopted for tables like these. "
        "Where its tails bend, and how much errors of linear rows count, was chosen on tables with "
        "planted anomalies; that it costs nothing was checked on all tables, these among them.",
    ),
    "embeddings": Group(
        "adbench_embeddings",
        "Anomaly detection on ADBench: embeddings of images and texts",
        1_500,
        "The rows are embeddings of images by ResNet-18 and ViT, and of texts by BERT and RoBERTa. "
        "Most of the tables have more columns than rows, too few rows for the covariance of "
        "`EllipticEnvelope`, which is left out. How the detector of skae scores tables of "
        "few rows was chosen on these tables, and [assessed on halves of them]"
        "(anomaly_views.md) that the choice did not see; all its other defaults were chosen on the "
        "tables of [the main page](adbench.md). It is fitted on four fifths of so few rows, of "
        "which the others calibrate its threshold; the other methods are fitted on all.",
    ),
}
