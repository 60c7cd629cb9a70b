"""Start the any-scan model from a smaller one: the weights that both have are taken over, the others are fresh.

    python scripts/widen_model.py t1w-2mm runs/anyscan/start
    make anyscan START=runs/anyscan/start

The first channels of the head get the old head's weights and the others 0; what modulates the stages by the scan's
contrast begins without effect where the old model had none.
"""

import argparse
from pathlib import Path

import torch

from itermask.methods import build_method
from itermask.models.folder import find_model, load_networks, read_card, save_model
from itermask.networks import build_network


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", help="model folder or bundled model with one block U-Net of the same widths")
    parser.add_argument("out", type=Path, help="the new model folder")
    arguments = parser.parse_args()
    folder = find_model(arguments.model, None)
    card = read_card(folder)
    (old,) = load_networks(folder, card).values()
    method = build_method("anyscan")
    ((role, (name, settings)),) = method.network_specs().items()
    torch.manual_seed(0)
    network = build_network(name, settings)
    weights = network.state_dict()
    for key, value in old.state_dict().items():
        if key.startswith("head."):
            weights[key].zero_()
            weights[key][: len(value)] = value
        elif weights[key].shape == value.shape:
            weights[key] = value
        else:
            raise SystemExit(f"{folder}: {key} is {tuple(value.shape)}, but {tuple(weights[key].shape)} is needed")
    networks = {role: {"name": name, "arguments": settings}}
    scale = {"kind": "robust", "background": 0.0}
    changed = {"method": "anyscan", "method_settings": method.settings(), "networks": networks, "calibration": {}}
    state = {f"{role}.{key}": value for key, value in weights.items()}
    save_model(arguments.out, state, card | changed | {"intensity_scale": scale, "metrics": {}})


if __name__ == "__main__":
    main()
