#include "weights/adapter_file.h"

#include <xxhash.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <system_error>
#include <utility>

#include "core/error.h"
#include "weights/adapter_scales.h"
#include "weights/model_kind.h"
#include "weights/torch_file.h"
#include "weights/weight_scope.h"

namespace sdxl {
namespace {

namespace fs = std::filesystem;
using Leaf = AdapterLeaf;

[[noreturn]] void broken(const fs::path& path, const std::string& what) {
    fail(ErrorCode::kInvalidModel, "'" + path.string() + "': " + what);
}

// The adapter in a folder: under one of the hub's usual names, or the only file.
fs::path file_in(const fs::path& folder) {
    std::error_code error;
    for (const char* name : {"pytorch_lora_weights.safetensors", "adapter_model.safetensors",
                             "pytorch_lora_weights.bin", "adapter_model.bin"})
        if (fs::exists(folder / name, error)) return folder / name;
    std::vector<fs::path> files;
    for (const auto& entry : fs::directory_iterator(folder, error))
        if (entry.path().extension() == ".safetensors") files.push_back(entry.path());
    if (error) fail(ErrorCode::kIo, "cannot read the folder '" + folder.string() + "': " + error.message());
    if (files.size() == 1) return files.front();
    broken(folder,
           "the folder has " + std::to_string(files.size()) +
               " .safetensors files, expected one, or a pytorch_lora_weights.safetensors: name a file");
}

fs::path find_file(const fs::path& path) {
    std::error_code error;
    const auto status = fs::status(path, error);
    if (status.type() == fs::file_type::not_found)
        fail(ErrorCode::kNotFound, "there is no adapter '" + path.string() + "'");
    if (error) fail(ErrorCode::kIo, "cannot look at '" + path.string() + "': " + error.message());
    fs::path file = fs::is_directory(status) ? file_in(path) : path;
    constexpr std::array<std::string_view, 1> kOthers{".gguf"};
    const std::string extension = file.extension().string();
    if (std::ranges::find(kOthers, extension) != kOthers.end())
        fail(ErrorCode::kUnsupported, "'" + file.string() + "' is a " + extension +
                                          " file, expected .safetensors: convert it, or download the "
                                          "safetensors version of the adapter");
    return file;
}

// A lone number, also one stored as an integer: trainers write both.
float scalar(const FileTensor& tensor, const fs::path& path) {
    const HostView& view = tensor.view;
    const std::string who = "tensor " + quoted_name(view.name);
    if (view.shape.numel() != 1)
        broken(path, who + " has shape " + view.shape.str() + ", expected one number");
    float value = NAN;
    if (is_float(view.dtype)) {
        value = to_f32(view).front();
    } else if (view.dtype == DType::kI64) {
        std::int64_t integer = 0;
        std::memcpy(&integer, view.data, sizeof integer);
        value = static_cast<float>(integer);
    } else if (view.dtype == DType::kI32) {
        std::int32_t integer = 0;
        std::memcpy(&integer, view.data, sizeof integer);
        value = static_cast<float>(integer);
    } else {
        broken(path, who + " holds " + std::string(dtype_name(view.dtype)) + ", expected a number");
    }
    if (!std::isfinite(value)) broken(path, who + " is not a finite number: the file is damaged");
    return value;
}

// Tensors that make sense only together.
constexpr std::array<std::pair<Leaf, Leaf>, 15> kNeeds{{
    {Leaf::kUp, Leaf::kDown},
    {Leaf::kDown, Leaf::kUp},
    {Leaf::kMid, Leaf::kUp},
    {Leaf::kUpBias, Leaf::kUp},
    {Leaf::kHadaW1A, Leaf::kHadaW1B},
    {Leaf::kHadaW1B, Leaf::kHadaW2A},
    {Leaf::kHadaW2A, Leaf::kHadaW2B},
    {Leaf::kHadaW2B, Leaf::kHadaW1A},
    {Leaf::kHadaT1, Leaf::kHadaT2},
    {Leaf::kHadaT2, Leaf::kHadaT1},
    {Leaf::kLokrW1A, Leaf::kLokrW1B},
    {Leaf::kLokrW1B, Leaf::kLokrW1A},
    {Leaf::kLokrW2A, Leaf::kLokrW2B},
    {Leaf::kLokrW2B, Leaf::kLokrW2A},
    {Leaf::kLokrT2, Leaf::kLokrW2A},
}};

std::string_view leaf_text(Leaf leaf) {
    switch (leaf) {
        case Leaf::kUp:
            return "up (lora_B)";
        case Leaf::kDown:
            return "down (lora_A)";
        case Leaf::kHadaW1A:
            return "hada_w1_a";
        case Leaf::kHadaW1B:
            return "hada_w1_b";
        case Leaf::kHadaW2A:
            return "hada_w2_a";
        case Leaf::kHadaW2B:
            return "hada_w2_b";
        case Leaf::kHadaT1:
            return "hada_t1";
        case Leaf::kHadaT2:
            return "hada_t2";
        case Leaf::kLokrW1A:
            return "lokr_w1_a";
        case Leaf::kLokrW1B:
            return "lokr_w1_b";
        case Leaf::kLokrW2A:
            return "lokr_w2_a";
        case Leaf::kLokrW2B:
            return "lokr_w2_b";
        default:
            return "other half";
    }
}

void check_halves(const AdapterModule& module, const fs::path& path) {
    const auto missing = [&](const FileTensor& there, std::string_view what) {
        broken(path, "tensor " + quoted_name(there.view.name) + " stands alone, without its module's " +
                         std::string(what) + ": the file is incomplete, download it again");
    };
    for (const auto& [leaf, needed] : kNeeds)
        if (const FileTensor* there = module.find(leaf); there != nullptr && !module.has(needed))
            missing(*there, leaf_text(needed));
    const bool first = module.has(Leaf::kLokrW1) || module.has(Leaf::kLokrW1A);
    const bool second = module.has(Leaf::kLokrW2) || module.has(Leaf::kLokrW2A);
    if (first == second) return;
    const FileTensor* there = module.find(Leaf::kLokrW1);
    for (const Leaf leaf : {Leaf::kLokrW1A, Leaf::kLokrW2, Leaf::kLokrW2A})
        if (there == nullptr) there = module.find(leaf);
    missing(*there, first ? "lokr_w2" : "lokr_w1");
}

// A module's weight is changed in one way.
void check_one_family(const AdapterModule& module, const fs::path& path) {
    const FileTensor* first = nullptr;
    const auto claim = [&](std::initializer_list<Leaf> leaves) {
        for (const Leaf leaf : leaves) {
            const FileTensor* there = module.find(leaf);
            if (there == nullptr) continue;
            if (first != nullptr)
                broken(path, "tensors " + quoted_name(first->view.name) + " and " +
                                 quoted_name(there->view.name) + " change one weight in two ways");
            first = there;
            return;
        }
    };
    claim({Leaf::kUp});
    claim({Leaf::kHadaW1A});
    claim({Leaf::kLokrW1, Leaf::kLokrW2});
    claim({Leaf::kLokrW1A});
    claim({Leaf::kDiff});
    claim({Leaf::kNorm});
}

std::string other_file(const FileTensors& tensors) {
    const std::string foreign = foreign_model(tensors);
    return foreign.empty() ? "an SDXL checkpoint" : foreign;
}

}  // namespace

const FileTensor* AdapterModule::find(AdapterLeaf leaf) const {
    const auto found = tensors.find(leaf);
    return found == tensors.end() ? nullptr : &found->second;
}

std::optional<AdapterFamily> AdapterModule::family() const {
    if (has(Leaf::kUp)) return AdapterFamily::kLora;
    if (has(Leaf::kHadaW1A)) return AdapterFamily::kLoha;
    if (has(Leaf::kLokrW1) || has(Leaf::kLokrW1A)) return AdapterFamily::kLokr;
    if (has(Leaf::kDiff)) return AdapterFamily::kFull;
    if (has(Leaf::kNorm)) return AdapterFamily::kNorm;
    return std::nullopt;
}

std::int64_t AdapterModule::rank() const {
    // The second of LoKr's factors decides where both are products, as in ComfyUI.
    for (const Leaf leaf : {Leaf::kDown, Leaf::kHadaW1B, Leaf::kLokrW2B, Leaf::kLokrW1B})
        if (const FileTensor* there = find(leaf))
            return there->view.shape.rank() == 0 ? 0 : there->view.shape[0];
    return 0;
}

AdapterFile AdapterFile::open(const fs::path& path) {
    const fs::path found = find_file(path);
    if (is_torch_file(found)) {
        const auto file = std::make_shared<const TorchFile>(MappedFile(found));
        AdapterFile adapter(read_torch_tensors(file->bytes(), file), {}, found);
        adapter.file_ = file;
        adapter.contents_ = file->bytes();
        return adapter;
    }
    const auto file = SafetensorsFile::open(found);
    AdapterFile adapter(tensors_of(file->header(), file->bytes(), file), file->header().metadata, found);
    adapter.file_ = file;
    adapter.contents_ = file->bytes();
    return adapter;
}

AdapterFile::AdapterFile(const FileTensors& tensors, std::map<std::string, std::string> metadata,
                         fs::path path)
    : path_(std::move(path)), metadata_(std::move(metadata)), tensor_count_(tensors.size()) {
    if (std::ranges::none_of(tensors, [](const auto& item) { return is_adapter_name(item.first); }))
        broken(path_, "this is " + other_file(tensors) + ", not a LoRA or its like");
    std::map<std::pair<AdapterPart, std::string>, AdapterModule> modules;
    for (const auto& [name, tensor] : tensors) add(name, tensor, modules);
    for (auto& [place, module] : modules) modules_.push_back(std::move(module));
    std::string foreign(foreign_base(tensors));
    // Both name their only text encoder alike.
    if (foreign == kOlderBase && context_width() != 0) foreign = base_of_context(context_width());
    if (!foreign.empty()) broken(path_, "this adapter is for " + foreign + ", not for SDXL");
    read_configured_scales(modules_, metadata_, path_);
    for (AdapterModule& module : modules_) finish(module);
}

void AdapterFile::add(const std::string& name, const FileTensor& tensor,
                      std::map<std::pair<AdapterPart, std::string>, AdapterModule>& modules) {
    bytes_ += tensor.view.bytes();
    const auto parsed = parse_adapter_name(name);
    if (!parsed) {
        unknown_.push_back({name, std::string(unsupported_adapter(name))});
        return;
    }
    AdapterModule& module = modules[{parsed->part, parsed->path}];
    module.part = parsed->part;
    module.path = parsed->path;
    const auto [place, added] = module.tensors.emplace(parsed->leaf, tensor);
    if (!added)
        broken(path_, "tensors " + quoted_name(place->second.view.name) + " and " + quoted_name(name) +
                          " are the same part of one module");
    if (parsed->leaf == Leaf::kAlpha) module.alpha = scalar(tensor, path_);
    if (!spelling_) spelling_ = parsed->spelling;
    for (const std::string_view start : {"input_blocks_", "middle_block_", "output_blocks_"})
        if (parsed->path.starts_with(start)) original_blocks_ = true;
}

void AdapterFile::finish(AdapterModule& module) {
    check_halves(module, path_);
    check_one_family(module, path_);
    rank_ = std::max(rank_, module.rank());
}

std::string AdapterFile::family() const {
    std::array<bool, 5> there{};
    bool dora = false;
    for (const AdapterModule& module : modules_) {
        if (const auto family = module.family()) there.at(static_cast<std::size_t>(*family)) = true;
        if (module.has(Leaf::kDiffBias)) there.at(static_cast<std::size_t>(AdapterFamily::kFull)) = true;
        if (module.has(Leaf::kNormBias)) there.at(static_cast<std::size_t>(AdapterFamily::kNorm)) = true;
        dora = dora || module.has(Leaf::kDoraScale) || module.has(Leaf::kMagnitude);
    }
    std::string text;
    const auto say = [&text](bool holds, std::string_view name) {
        if (holds) text += (text.empty() ? "" : " + ") + std::string(name);
    };
    constexpr std::array<std::string_view, 5> kNames{"LoRA", "LoHa", "LoKr", "full difference", "norms"};
    for (std::size_t i = 0; i < kNames.size(); ++i) say(there[i], kNames[i]);
    say(dora, "DoRA");
    return text.empty() ? "unknown" : text;
}

std::int64_t AdapterFile::context_width() const {
    for (const AdapterModule& module : modules_) {
        if (module.part != AdapterPart::kUnet || !module.path.ends_with("attn2_to_k")) continue;
        for (const Leaf leaf : {Leaf::kDown, Leaf::kHadaW1B, Leaf::kDiff})
            if (const FileTensor* there = module.find(leaf); there && there->view.shape.rank() >= 2)
                return there->view.shape[1];
    }
    return 0;
}

std::string AdapterFile::layout() const {
    std::string text = "unknown";
    if (spelling_) {
        constexpr std::array<std::string_view, 5> kNames{"kohya", "LyCORIS", "diffusers", "PEFT", "generic"};
        text = kNames[static_cast<std::size_t>(*spelling_)];
    }
    return original_blocks_ ? text + " (original block names)" : text;
}

std::string AdapterFile::content_hash() const {
    if (!file_) return "";
    const XXH128_hash_t hash = XXH3_128bits(contents_.data(), contents_.size());
    XXH128_canonical_t canonical;
    XXH128_canonicalFromHash(&canonical, hash);
    constexpr std::string_view kDigits = "0123456789abcdef";
    std::string text;
    for (const unsigned char byte : canonical.digest) {
        text += kDigits[byte >> 4U];
        text += kDigits[byte & 0xFU];
    }
    return text;
}

}  // namespace sdxl
