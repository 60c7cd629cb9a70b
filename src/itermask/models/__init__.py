"""Models: a folder with `model.safetensors` and `card.json`, loaded and checked; the bundled ones."""

from itermask.models.folder import Model, bundled_models, load_model, save_model

__all__ = ["Model", "bundled_models", "load_model", "save_model"]
