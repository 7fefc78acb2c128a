#include "weights/textual_inversion_file.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>
#include <cstddef>
#include <optional>
#include <span>
#include <string_view>
#include <system_error>
#include <utility>

#include "core/error.h"
#include "core/mapped_file.h"
#include "weights/component_names.h"
#include "weights/model_kind.h"
#include "weights/torch_file.h"

namespace sdxl {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kMostVectors = 75;  // what one chunk of a prompt holds
constexpr std::int64_t kWidthL = 768, kWidthG = 1280, kWidthOfSd2 = 1024;
constexpr std::string_view kWhatToUse = ": use the version of this embedding for SDXL";

// The names that tell which encoder a tensor is for.
constexpr std::array<std::pair<std::string_view, std::string_view>, 2> kNames{{
    {"clip_l", "clip_g"},
    {"text_encoders_0", "text_encoders_1"},
}};

[[noreturn]] void refuse(const fs::path& path, const std::string& why) {
    fail(ErrorCode::kInvalidModel, "'" + path.string() + "': " + why);
}

bool has(const FileTensors& tensors, std::string_view name) {
    return tensors.find(name) != tensors.end();
}

std::int64_t width_of(const HostView& view) {
    return view.shape.rank() == 0 ? 0 : view.shape[-1];
}

std::string named(const HostView& view) {
    return "tensor " + quoted_name(view.name);
}

// Vectors of a tensor [vectors, width] or [width].
InversionVectors vectors_of(const HostView& view, const fs::path& path) {
    if (view.shape.rank() != 1 && view.shape.rank() != 2)
        refuse(path, named(view) + " has shape " + view.shape.str() +
                         ", expected [vectors, width] or one vector [width]");
    if (view.shape.numel() == 0) refuse(path, named(view) + " is empty, shape " + view.shape.str());
    if (!is_float(view.dtype))
        refuse(path, named(view) + " holds " + std::string(dtype_name(view.dtype)) +
                         ", expected floating-point values");
    if (view.shape.rows() > kMostVectors)
        refuse(path, named(view) + " has " + std::to_string(view.shape.rows()) +
                         " vectors, expected at most " + std::to_string(kMostVectors) +
                         ": no more stand in a chunk of the prompt");
    InversionVectors vectors{view.name, width_of(view), to_f32(view)};
    if (!std::all_of(vectors.values.begin(), vectors.values.end(), [](float v) { return std::isfinite(v); }))
        refuse(path, named(view) + " holds NaN or infinity: the file is damaged, download it again");
    return vectors;
}

// Embeddings of other models, by the tensors beside or in the place of those of SDXL.
void refuse_foreign(const FileTensors& tensors, const fs::path& path) {
    if (const auto found = tensors.find("emb_params"); found != tensors.end()) {
        const std::int64_t width = width_of(found->second.view);
        const std::string model = width == kWidthL       ? "Stable Diffusion 1.5 (1.x)"
                                  : width == kWidthOfSd2 ? "Stable Diffusion 2.x"
                                                         : "a model with one text encoder";
        refuse(path, "this is a textual inversion for " + model + " ('emb_params' of width " +
                         std::to_string(width) + "), expected 'clip_l' and 'clip_g'" +
                         std::string(kWhatToUse));
    }
    for (const std::string_view t5 : {"t5", "t5xxl"})
        if (has(tensors, t5))
            refuse(path, "this is a textual inversion for " +
                             std::string(has(tensors, "clip_g") ? "Stable Diffusion 3" : "Flux") +
                             " (it has '" + std::string(t5) + "')" + std::string(kWhatToUse));
}

// Whether a file is diffusers' of one token: {token: vectors}.
bool is_one_token(const FileTensors& tensors) {
    return tensors.size() == 1 && foreign_model(tensors) == foreign_model({}) &&
           tensors.begin()->second.view.shape.rank() <= 2;
}

// Into the place that its width tells.
void read_one_token(TextualInversion& inversion, const FileTensors& tensors, const fs::path& path) {
    const HostView& view = tensors.begin()->second.view;
    const std::int64_t width = width_of(view);
    if (width != kWidthL && width != kWidthG)
        refuse(path, named(view) + " has shape " + view.shape.str() + ", which is " +
                         (width == kWidthOfSd2 ? "a textual inversion for Stable Diffusion 2.x"
                                               : "no textual inversion for SDXL") +
                         ", expected vectors of " + std::to_string(kWidthL) + " (first text encoder) or " +
                         std::to_string(kWidthG) + " (second) values" + std::string(kWhatToUse));
    InversionVectors& place = width == kWidthL ? inversion.clip_l : inversion.clip_g;
    if (!place.tensor.empty()) refuse(path, named(view) + " is for the same text encoder as the other file");
    place = vectors_of(view, path);
    inversion.trigger = view.name;
}

void read_named(TextualInversion& inversion, const FileTensors& tensors, const fs::path& path) {
    IgnoredTensors ignored;
    for (const auto& [name, tensor] : tensors) {
        const auto is = [&name = name](const auto& pair) {
            return pair.first == name || pair.second == name;
        };
        const auto* found = std::find_if(kNames.begin(), kNames.end(), is);
        if (found == kNames.end()) {
            ignored.add(name);
            continue;
        }
        InversionVectors& place = found->first == name ? inversion.clip_l : inversion.clip_g;
        if (!place.tensor.empty())
            refuse(path, "tensors '" + place.tensor + "' and '" + name + "' are for the same text encoder");
        place = vectors_of(tensor.view, path);
    }
    inversion.warnings = ignored.warnings();
}

bool has_named(const FileTensors& tensors) {
    return std::any_of(kNames.begin(), kNames.end(), [&](const auto& pair) {
        return has(tensors, pair.first) || has(tensors, pair.second);
    });
}

// Counts vectors and says what is not there.
void finish(TextualInversion& inversion) {
    const auto count = [](const InversionVectors& vectors) {
        return vectors.values.empty() ? 0 : static_cast<std::int64_t>(vectors.values.size()) / vectors.width;
    };
    const std::int64_t l = count(inversion.clip_l), g = count(inversion.clip_g);
    if (l != 0 && g != 0 && l != g)
        refuse(inversion.path, "'" + inversion.clip_l.tensor + "' has " + std::to_string(l) +
                                   " vectors and '" + inversion.clip_g.tensor + "' " + std::to_string(g) +
                                   ", expected as many for both text encoders");
    inversion.vectors = std::max(l, g);
    if (l != 0 && g != 0) return;
    std::string warning = "textual inversion '" + inversion.path.string() + "' has vectors for the " +
                          (l != 0 ? "first" : "second") + " text encoder alone: the " +
                          (l != 0 ? "second" : "first") + " one sees its word as it is written";
    const bool unnamed =
        inversion.clip_l.tensor != kNames[0].first && inversion.clip_l.tensor != kNames[1].first;
    if (l != 0 && unnamed) warning += " (embeddings for Stable Diffusion 1.5 look the same)";
    inversion.warnings.push_back(warning);
}

void read_tensors(TextualInversion& inversion, const FileTensors& tensors, const fs::path& path) {
    refuse_foreign(tensors, path);
    if (has_named(tensors)) return read_named(inversion, tensors, path);
    if (is_one_token(tensors)) return read_one_token(inversion, tensors, path);
    const std::string what = foreign_model(tensors);
    refuse(path, "this is " + (what.empty() ? "an SDXL checkpoint" : what) +
                     ", not a textual inversion for SDXL, which has the tensors 'clip_l' and 'clip_g'");
}

// What torch.save writes: a zip archive, or a pickle of protocol 2.
bool is_pickle(const fs::path& path, std::span<const std::byte> bytes) {
    if (is_torch_file(path)) return true;
    const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    return text.starts_with("PK\x03\x04") || text.starts_with("\x80\x02");
}

FileTensors open_tensors(const fs::path& path) {
    MappedFile mapped(path);
    if (is_pickle(path, mapped.bytes())) {
        const auto pickled = std::make_shared<const TorchFile>(std::move(mapped));
        return read_torch_tensors(pickled->bytes(), pickled);
    }
    const auto file = std::make_shared<const SafetensorsFile>(std::move(mapped));
    return tensors_of(file->header(), file->bytes(), file);
}

// What diffusers' training of both text encoders leaves.
void read_folder(TextualInversion& inversion, const fs::path& folder) {
    std::error_code ignored;
    const auto either = [&](const std::string& stem) {
        const fs::path pickled = folder / (stem + ".bin");
        return fs::exists(pickled, ignored) && !fs::exists(folder / (stem + ".safetensors"), ignored)
                   ? pickled
                   : folder / (stem + ".safetensors");
    };
    const fs::path first = either("learned_embeds"), second = either("learned_embeds_2");
    if (!fs::exists(first, ignored) && !fs::exists(second, ignored))
        fail(ErrorCode::kNotFound, "'" + folder.string() +
                                       "' is a folder without learned_embeds.safetensors: name the "
                                       ".safetensors file of the embedding");
    for (const fs::path& path : {first, second})
        if (fs::exists(path, ignored)) read_tensors(inversion, open_tensors(path), path);
}

}  // namespace

TextualInversion read_textual_inversion(const FileTensors& tensors, const fs::path& path) {
    TextualInversion inversion;
    inversion.path = path;
    inversion.trigger = path.stem().string();
    read_tensors(inversion, tensors, path);
    finish(inversion);
    return inversion;
}

std::shared_ptr<const TextualInversion> load_textual_inversion(const fs::path& path) {
    std::error_code ignored;
    if (!fs::is_directory(path, ignored))
        return std::make_shared<const TextualInversion>(read_textual_inversion(open_tensors(path), path));
    TextualInversion inversion;
    inversion.path = path;
    inversion.trigger = path.filename().string();
    read_folder(inversion, path);
    finish(inversion);
    return std::make_shared<const TextualInversion>(std::move(inversion));
}

}  // namespace sdxl
