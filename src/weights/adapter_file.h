// LoRA-like adapters on disk: what a file holds, under whatever names its trainer wrote.
//
// Read are kohya's files ("lora_unet_…", blocks named as diffusers or as the original does), LyCORIS',
// diffusers' and PEFT's ("unet.…", "base_model.model.…") and generic ones ("diffusion_model.…"). Opening
// reads names, shapes and the few alphas; weights stay on disk until match_adapter (adapter_match.h) and the
// deltas look at them. An AdapterFile keeps its file mapped. Threads: immutable, any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "weights/adapter_names.h"
#include "weights/safetensors.h"

namespace sdxl {

// How a module of the model is changed; a file can mix them.
enum class AdapterFamily {
    kLora,  // Hu et al. 2021 (https://arxiv.org/abs/2106.09685), LoCon on convolutions, Tucker's middle too
    kLoha,  // two low ranks multiplied element by element: Hyeon-Woo et al. 2022 (FedPara)
    kLokr,  // a Kronecker product: Yeh et al. 2024 (LyCORIS, https://arxiv.org/abs/2309.14859)
    kFull,  // the difference itself: "diff", "diff_b"
    kNorm,  // the difference of a norm: "w_norm", "b_norm"
};

// The tensors of a file that change one module of the model.
struct AdapterModule {
    AdapterPart part = AdapterPart::kUnet;
    std::string path;  // below the part's prefix, dots as underscores
    std::map<AdapterLeaf, FileTensor> tensors;
    std::optional<float> alpha;  // the file's tensor, or what its metadata says
    bool root_scale = false;     // rsLoRA: alpha / sqrt(rank)

    bool has(AdapterLeaf leaf) const { return tensors.contains(leaf); }
    const FileTensor* find(AdapterLeaf leaf) const;
    // What changes the weight; nothing where only a bias is changed.
    std::optional<AdapterFamily> family() const;
    // What the change's scale divides alpha by; 0 where it has no rank.
    std::int64_t rank() const;
};

struct UnknownTensor {
    std::string name;
    std::string reason;  // "OFT", "the unet has no such module"; "" for a name that says nothing
};

class AdapterFile {
  public:
    // A .safetensors file or one of PyTorch's, or a folder with one (as the hub's are). Fails with kNotFound
    // or kIo for the path itself, kUnsupported for another format, kInvalidModel for a broken file, one that
    // is no adapter (says what it is), an adapter for another model (named), half a module, or an alpha that
    // is not a number.
    static AdapterFile open(const std::filesystem::path& path);

    // The same for tensors that are open already; content_hash() is "" then.
    AdapterFile(const FileTensors& tensors, std::map<std::string, std::string> metadata,
                std::filesystem::path path);

    const std::filesystem::path& path() const { return path_; }
    const std::map<std::string, std::string>& metadata() const { return metadata_; }
    const std::vector<AdapterModule>& modules() const { return modules_; }
    // Tensors that are no part of a module.
    const std::vector<UnknownTensor>& unknown() const { return unknown_; }

    std::string family() const;  // "LoRA", "LoRA + DoRA", "LoHa", "LoRA + norms"
    std::string layout() const;  // "kohya", "kohya (original block names)", "LyCORIS", "diffusers", "PEFT"
    std::int64_t rank() const { return rank_; }     // the largest; 0 if no module has one
    std::uint64_t bytes() const { return bytes_; }  // of all tensors
    std::size_t tensor_count() const { return tensor_count_; }
    // Width of the text states that its cross-attentions take: 2048 for SDXL, 768 for Stable Diffusion 1.x. 0
    // where it changes none.
    std::int64_t context_width() const;
    // XXH3 of the file's bytes, 32 hexadecimal digits. Reads all of them: call it once and keep it.
    std::string content_hash() const;

  private:
    void add(const std::string& name, const FileTensor& tensor,
             std::map<std::pair<AdapterPart, std::string>, AdapterModule>& modules);
    void finish(AdapterModule& module);

    std::filesystem::path path_;
    std::map<std::string, std::string> metadata_;
    std::vector<AdapterModule> modules_;
    std::vector<UnknownTensor> unknown_;
    std::int64_t rank_ = 0;
    std::uint64_t bytes_ = 0;
    std::size_t tensor_count_ = 0;
    std::optional<AdapterSpelling> spelling_;  // of the first module
    bool original_blocks_ = false;
    std::shared_ptr<const WeightBytes> file_;  // keeps the next alive
    std::span<const std::byte> contents_;
};

}  // namespace sdxl
