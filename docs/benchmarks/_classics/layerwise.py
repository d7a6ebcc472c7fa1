"""The deep autoencoder with logistic units and layerwise pretraining, as in 2006.

Hinton and Salakhutdinov (2006) pretrained 784-1000-500-250-30 layer by layer with restricted
Boltzmann machines, because logistic units could not be trained from random weights then. skae's
`pretrain="layerwise"` instead trains each layer and its counterpart as an autoencoder of one
hidden layer, and then trains all layers together. The time includes both. As in 2006 there is no
linear path (`init="random"`). The optimizer is Muon.
"""

from dataclasses import asdict

from ._muon import MuonAndAdamW
from ._pictures import save_curves
from ._recipe import Recipe
from ._row import Context, Picture, Result, Row
from .deep import MEASURE, NETWORK, SOURCE, clipped_note

# On 5,000 training images held out, 6 epochs of this came to 5.8, with lr=0.01 to 10.0, and 12
# of AdamW (lr=0.001, batches of 512) to 12.7. MuonAndAdamW says why logistic units need it.
RECIPE = Recipe(
    "layerwise, logistic units",
    {
        **NETWORK,
        "activation": "logistic",
        "init": "random",
        "pretrain": "layerwise",
        "batch_size": 1024,
        "lr": 0.03,
        "weight_decay": 0.1,
        "optimizer": MuonAndAdamW,
    },
    bfloat16=True,
    words={"optimizer": "MuonAndAdamW"},
)
MINUTES = 60.0
BAR = 3.00


def compute(context: Context) -> Row:
    """Train for an hour, the pretraining included."""
    fit = RECIPE.fit(context, MINUTES)
    result = Result(
        f"784-1000-500-250-30, {RECIPE.name}",
        MEASURE,
        "3.00",
        SOURCE,
        fit.error,
        BAR,
        fit.seconds,
        RECIPE.settings(fit),
        notes=(clipped_note(fit, context),),
    )
    save_curves(
        {RECIPE.name: ([seconds / 60 for seconds in fit.curve.seconds], fit.curve.errors)},
        {"2006: 3.00": BAR},
        ("minutes of training", MEASURE),
        context.pictures / "layerwise_curve.png",
        largest=14.0,
    )
    picture = Picture(
        "layerwise_curve.png",
        "Error on test images against time; the curve starts after pretraining",
    )
    text = (
        f"{SOURCE}: the same network with logistic units, pretrained layer by layer, by "
        "autoencoders of one hidden layer instead of restricted Boltzmann machines."
    )
    return Row("Layerwise pretraining", text, (result,), (picture,), {"curve": asdict(fit.curve)})
