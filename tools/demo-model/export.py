"""Writes what is trained as a diffusers folder of fp16 weights that the worker loads."""
import argparse
import pathlib

import numpy as np
import torch

import configs
import safetensors_file
import scenes
from model import SCALING_FACTOR, BaseModel, open_base, open_vae, save_json
from tiny import TinyDecoder
from train_controlnet import Controlled
from train_refiner import RefinerModel
from train_upscaler import RRDBNet
from dataset import as_tensor
from trainer import load_averaged
from unet import ControlNet, UNet
from vae import AutoencoderKL


def half(module, values=None):
    """name -> fp16 array; `values` (name -> tensor) stands in for the module's own."""
    tensors = values or dict(module.named_parameters())
    return {name: tensor.detach().float().contiguous().numpy().astype(np.float16)
            for name, tensor in tensors.items()}


def of(part, values):
    """The entries under `part.` without that prefix."""
    return {name[len(part) + 1:]: tensor for name, tensor in values.items() if name.startswith(part + ".")}


def text_config(sizes, vocabulary):
    second = "projection" in sizes
    return {"architectures": ["CLIPTextModelWithProjection" if second else "CLIPTextModel"],
            "model_type": "clip_text_model", "vocab_size": vocabulary, "hidden_size": sizes["width"],
            "num_attention_heads": sizes["width"] // 64, "num_hidden_layers": sizes["layers"],
            "intermediate_size": 4 * sizes["width"], "hidden_act": "gelu" if second else "quick_gelu",
            "max_position_embeddings": configs.POSITIONS, "layer_norm_eps": 1e-5,
            "projection_dim": sizes.get("projection", sizes["width"]), "bos_token_id": vocabulary - 2,
            "eos_token_id": vocabulary - 1, "pad_token_id": 0 if second else vocabulary - 1}


def unet_config(config):
    heads = [channels // 64 or 1 for channels in config["channels"]]
    depths = [max(1, depth) for depth in config["depths"]]
    kind = lambda side, depth: ("CrossAttn" if depth else "") + side + "Block2D"
    return {"_class_name": "UNet2DConditionModel", "sample_size": configs.SIZE // 8, "in_channels": 4,
            "out_channels": 4, "flip_sin_to_cos": True, "freq_shift": 0,
            "down_block_types": [kind("Down", depth) for depth in config["depths"]],
            "mid_block_type": "UNetMidBlock2DCrossAttn" if config["mid_depth"] else "UNetMidBlock2D",
            "up_block_types": [kind("Up", depth) for depth in reversed(config["depths"])],
            "block_out_channels": config["channels"], "layers_per_block": config["layers"],
            "downsample_padding": 1, "mid_block_scale_factor": 1, "act_fn": "silu",
            "norm_num_groups": config["groups"], "norm_eps": 1e-5, "cross_attention_dim": config["context"],
            "transformer_layers_per_block": depths, "attention_head_dim": heads, "use_linear_projection": True,
            "addition_embed_type": "text_time", "addition_time_embed_dim": 256,
            "projection_class_embeddings_input_dim": config["pooled"] + 256 * config["time_ids"],
            "time_embedding_dim": config["time"], "resnet_time_scale_shift": "default"}


def vae_config():
    channels = configs.VAE["channels"]
    return {"_class_name": "AutoencoderKL", "in_channels": 3, "out_channels": 3, "latent_channels": 4,
            "down_block_types": ["DownEncoderBlock2D"] * len(channels),
            "up_block_types": ["UpDecoderBlock2D"] * len(channels), "block_out_channels": channels,
            "layers_per_block": configs.VAE["layers"], "act_fn": "silu", "norm_num_groups": configs.VAE["groups"],
            "sample_size": configs.SIZE, "scaling_factor": 0.13025, "force_upcast": False}


def scheduler_config():
    return {"_class_name": "EulerDiscreteScheduler", "beta_start": 0.00085, "beta_end": 0.012,
            "beta_schedule": "scaled_linear", "num_train_timesteps": 1000, "timestep_spacing": "leading",
            "steps_offset": 1, "prediction_type": "v_prediction"}


def write_index(folder, refiner=False):
    parts = {"scheduler": ["diffusers", "EulerDiscreteScheduler"],
             "text_encoder": [None, None] if refiner else ["transformers", "CLIPTextModel"],
             "text_encoder_2": ["transformers", "CLIPTextModelWithProjection"],
             "tokenizer": [None, None] if refiner else ["transformers", "CLIPTokenizer"],
             "tokenizer_2": ["transformers", "CLIPTokenizer"], "unet": ["diffusers", "UNet2DConditionModel"],
             "vae": ["diffusers", "AutoencoderKL"]}
    name = "StableDiffusionXLImg2ImgPipeline" if refiner else "StableDiffusionXLPipeline"
    save_json(folder / "model_index.json", {"_class_name": name, **parts, "force_zeros_for_empty_prompt": not refiner,
                                            **({"requires_aesthetics_score": True} if refiner else configs.SETTINGS)})
    save_json(folder / "scheduler/scheduler_config.json", scheduler_config())


@torch.no_grad()
def normalise(vae, pictures):
    """Folds a shift and a scale of each latent channel into the 1x1 convolutions around them, so that latents
    times SCALING_FACTOR have mean 0 and variance 1."""
    mean = vae.encode(pictures)[0]
    shift, spread = mean.mean((0, 2, 3)), mean.std((0, 2, 3))
    factor = 1 / (spread * SCALING_FACTOR)
    vae.quant_conv.weight[:4] *= factor[:, None, None, None]
    vae.quant_conv.bias[:4] = (vae.quant_conv.bias[:4] - shift) * factor
    vae.quant_conv.bias[4:] += 2 * factor.log()
    vae.post_quant_conv.bias += (vae.post_quant_conv.weight[:, :, 0, 0] @ shift)
    vae.post_quant_conv.weight /= factor[None, :, None, None]


def trained_vae(training):
    """The moving average of train_vae.py's checkpoint, normalised."""
    vae = AutoencoderKL(configs.VAE)
    load_averaged(vae, training / "vae.pt")
    made = scenes.training_scenes(3)
    normalise(vae, as_tensor(np.stack([scenes.draw(next(made)[0]) for _ in range(200)])))
    return vae


def write_vae(folder, values):
    safetensors_file.write(folder / "vae/diffusion_pytorch_model.safetensors", half(None, values))
    save_json(folder / "vae/config.json", vae_config())


def write_base(folder, base, values=None):
    """Everything but the autoencoder. `values`: the averaged weights by name."""
    folder = pathlib.Path(folder)
    values = values or dict(base.named_parameters())
    vocabulary = base.tokenizer.size
    for part, sizes in (("text_encoder", configs.TEXT_1), ("text_encoder_2", configs.TEXT_2)):
        safetensors_file.write(folder / part / "model.safetensors", half(None, of(part, values)))
        save_json(folder / part / "config.json", text_config(sizes, vocabulary))
    base.tokenizer.write(folder / "tokenizer", "<|endoftext|>")
    base.tokenizer.write(folder / "tokenizer_2", "!")
    safetensors_file.write(folder / "unet/diffusion_pytorch_model.safetensors", half(None, of("unet", values)))
    save_json(folder / "unet/config.json", unet_config(configs.BASE))
    write_index(folder)


def controlnet_config():
    config = unet_config(configs.CONTROLNET)
    for key in ("up_block_types", "out_channels", "sample_size", "cross_attention_dim"):
        del config[key]
    return {**config, "_class_name": "ControlNetModel", "conditioning_channels": 3,
            "conditioning_embedding_out_channels": configs.CONTROLNET["hint"],
            "controlnet_conditioning_channel_order": "rgb"}


def write_controlnet(folder, values):
    safetensors_file.write(folder / "controlnet-edges/diffusion_pytorch_model.safetensors", half(None, values))
    save_json(folder / "controlnet-edges/config.json", controlnet_config())


def write_refiner(folder, values):
    """A folder of its own; what it shares with the base model are links."""
    folder = folder / "refiner"
    folder.mkdir(parents=True, exist_ok=True)
    for part in ("text_encoder_2", "tokenizer_2", "vae"):
        if not (folder / part).exists():
            (folder / part).symlink_to(f"../{part}")
    safetensors_file.write(folder / "unet/diffusion_pytorch_model.safetensors", half(None, values))
    save_json(folder / "unet/config.json", unet_config(configs.REFINER))
    write_index(folder, refiner=True)


def write_tiny(folder, values):
    """As diffusers writes an AutoencoderTiny."""
    safetensors_file.write(folder / "vae-tiny/diffusion_pytorch_model.safetensors", half(None, values))
    save_json(folder / "vae-tiny/config.json", {"_class_name": "AutoencoderTiny", "in_channels": 3, "out_channels": 3,
                                                "latent_channels": 4, "act_fn": "relu", "scaling_factor": 1.0})


def averaged(module, path):
    """The moving average in a checkpoint, under the names of the module's trained parameters."""
    load_averaged(module, path)
    return {name: parameter for name, parameter in module.named_parameters() if parameter.requires_grad}


def write_extras(folder, training):
    """Whatever of these has been trained."""
    controlnet, refiner, tiny, upscaler = (training / f"{name}.pt"
                                           for name in ("controlnet", "refiner", "tiny", "upscaler"))
    if controlnet.exists():
        write_controlnet(folder, of("control", averaged(Controlled(open_base(folder)), controlnet)))
    if refiner.exists():
        base = open_base(folder)
        write_refiner(folder, of("unet", averaged(RefinerModel(base), refiner)))
    if tiny.exists():
        write_tiny(folder, averaged(TinyDecoder(), tiny))
    if upscaler.exists():
        safetensors_file.write(folder / "upscaler-2x.safetensors", half(None, averaged(RRDBNet(), upscaler)))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=pathlib.Path, help="assets/demo")
    parser.add_argument("--training", type=pathlib.Path, help="folder of the checkpoints that train.py writes")
    parser.add_argument("--vae", action="store_true", help="normalise and write the autoencoder: once, before all "
                        "that is trained on its latents")
    parser.add_argument("--random", action="store_true", help="random weights, to check that they load")
    options = parser.parse_args()
    torch.manual_seed(0)
    if options.random:
        base = BaseModel()
        for parameter in base.parameters():  # nothing at zero, so that a comparison sees every weight
            if float(parameter.detach().abs().max()) in (0.0, 1.0) or float(parameter.detach().std()) < 2e-3:
                parameter.data += 0.05 * torch.randn_like(parameter)
        write_base(options.folder, base)
        write_vae(options.folder, dict(AutoencoderKL(configs.VAE).named_parameters()))
        write_controlnet(options.folder, dict(ControlNet(configs.CONTROLNET).named_parameters()))
        write_refiner(options.folder, dict(UNet(configs.REFINER).named_parameters()))
        write_tiny(options.folder, dict(TinyDecoder().named_parameters()))
        return
    if options.vae:
        write_vae(options.folder, dict(trained_vae(options.training).named_parameters()))
    if (options.training / "decoder.pt").exists():
        vae = open_vae(options.folder)
        for frozen in (vae.encoder, vae.quant_conv):
            frozen.requires_grad_(False)
        load_averaged(vae, options.training / "decoder.pt")
        write_vae(options.folder, dict(vae.named_parameters()))
    if (options.training / "base.pt").exists():
        base = BaseModel()
        write_base(options.folder, base, averaged(base, options.training / "base.pt"))
    write_extras(options.folder, options.training)


if __name__ == "__main__":
    main()
