// LoRA-like adapters on disk: what a file holds, under whatever names its trainer wrote.
//
// Read are kohya's files ("lora_unet_…", blocks named as diffusers or as the original does), LyCORIS',
// diffusers' and PEFT's ("unet.…", "base_model.model.…") and the generic dotted ones
// ("diffusion_model.…"). Opening reads names, shapes and the few alphas; weights stay on disk until
// match_adapter (adapter_match.h) and the deltas look at them. An AdapterFile keeps its file mapped. Threads:
// immutable, any thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "weights/adapter_names.h"
#include "weights/safetensors.h"

namespace sdxl {

// How a module of the model is changed; a file can mix them.
enum class AdapterFamily {
    kLora,  // Hu et al. 2021 (https://arxiv.org/abs/2106.09685), on convolutions LoCon; Tucker's middle too
    kLoha,  // products of two low ranks, element by element: Hyeon-Woo et al. 2022 (FedPara)
    kLokr,  // Kronecker products: Yeh et al. 2024 (LyCORIS, https://arxiv.org/abs/2309.14859)
    kFull,  // the difference itself ("diff", "diff_b")
    kNorm,  // differences of norms ("w_norm", "b_norm")
};

// The tensors that change one module of the model.
struct AdapterModule {
    AdapterPart part = AdapterPart::kUnet;
    std::string path;  // as the file spells it, dots as underscores
    std::map<AdapterLeaf, FileTensor> tensors;
    std::optional<float> alpha;  // of the file's tensor, or of its metadata
    bool root_scale = false;     // rsLoRA: alpha / sqrt(rank)
    std::string name() const;    // for messages: the first tensor's module in the file
};

class AdapterFile {
  public:
    // A .safetensors file, or a folder with one (as the hub's repositories are). Fails with kNotFound or kIo
    // for the path itself, kUnsupported for another format, kInvalidModel for a broken file, one that is no
    // adapter (says what it is), an adapter for another model (named), or alphas that are not numbers.
    static AdapterFile open(const std::filesystem::path& path);

    // The same for tensors that are open already.
    AdapterFile(const FileTensors& tensors, std::map<std::string, std::string> metadata,
                std::filesystem::path path);

    const std::filesystem::path& path() const { return path_; }
    const std::map<std::string, std::string>& metadata() const { return metadata_; }
    const std::vector<AdapterModule>& modules() const { return modules_; }
    // Tensors that are no part of a module, each with the reason.
    const std::vector<UnknownTensor>& unknown() const { return unknown_; }

    std::string family() const;  // "LoRA", "LoRA + DoRA", "LoHa", "LoRA + full difference + norms"
    std::string layout() const;  // "kohya", "kohya (original block names)", "diffusers", "PEFT", "LyCORIS"
    std::int64_t rank() const { return rank_; }     // the largest; 0 if the file has none
    std::uint64_t bytes() const { return bytes_; }  // of all tensors
    std::size_t tensor_count() const { return tensor_count_; }
    // XXH3 (128 bits, hexadecimal) of the file's bytes. Reads all of them: call once and keep it.
    std::string content_hash() const;

  private:
    std::filesystem::path path_;
    std::map<std::string, std::string> metadata_;
    std::vector<AdapterModule> modules_;
    std::vector<UnknownTensor> unknown_;
    std::int64_t rank_ = 0;
    std::uint64_t bytes_ = 0;
    std::size_t tensor_count_ = 0;
    AdapterSpelling spelling_ = AdapterSpelling::kKohya;
    bool original_blocks_ = false;
    std::shared_ptr<const SafetensorsFile> file_;  // null if made of tensors
};

}  // namespace sdxl
