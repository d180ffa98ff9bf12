"""The model zoo: one configuration, and the address of its weights."""

from pathlib import Path


def get_config_file(config_path: str) -> str:
    """Return the file."""
    file = Path(__file__).parent / "configs" / config_path
    if not file.exists():
        raise RuntimeError(f"{config_path} not available in Model Zoo!")
    return str(file)


def get_checkpoint_url(config_path: str) -> str:
    """Return where the weights are."""
    return f"detectron2://{config_path.removesuffix('.yaml')}/model_final.pkl"
