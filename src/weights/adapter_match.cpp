#include "weights/adapter_match.h"

#include <optional>
#include <string_view>
#include <utility>

#include "core/error.h"
#include "weights/finite_check.h"
#include "weights/module_spellings.h"

namespace sdxl {
namespace {

using Leaf = AdapterLeaf;

[[noreturn]] void broken(const AdapterFile& file, const std::string& what) {
    fail(ErrorCode::kInvalidModel, "'" + file.path().string() + "': " + what);
}

void check_values(const AdapterFile& file, const AdapterModule& module) {
    for (const auto& [leaf, tensor] : module.tensors) {
        if (leaf == Leaf::kAlpha) continue;
        const std::string who = "tensor " + quoted_name(tensor.view.name);
        if (!is_float(tensor.view.dtype))
            broken(file, who + " holds " + std::string(dtype_name(tensor.view.dtype)) +
                             ", expected floating-point values");
        if (!is_finite(tensor.view))
            broken(file, who +
                             " holds values that are not finite numbers (NaN or infinity): the adapter is "
                             "damaged, or its training failed");
    }
}

// Matches the modules of one part.
class PartMatcher {
  public:
    PartMatcher(const AdapterFile& file, AdapterPart part, const WeightMap& component,
                const Changeable& changeable, AdapterMatch& match)
        : file_(file),
          component_(component),
          changeable_(changeable),
          spellings_(module_spellings(component, part)),
          match_(match) {}

    void take(const AdapterModule& module) {
        const auto found = spellings_.find(module.path);
        if (found == spellings_.end())
            return leave(module, "the " + component_.component() + " has no such module");
        for (const char* leaf : {".weight", ".bias"})
            if (const std::string tensor = found->second + leaf;
                changeable_ && component_.find(tensor) != nullptr && !changeable_(module.part, tensor))
                return leave(module, "adapters cannot change this part of the " + component_.component());
        const std::size_t before = match_.of(module.part).size();
        check_values(file_, module);
        if (module.family()) add(module, found->second + ".weight", &AdapterDelta::of_weight);
        for (const Leaf leaf : {Leaf::kDiffBias, Leaf::kNormBias, Leaf::kUpBias})
            if (module.has(leaf)) add(module, found->second + ".bias", &AdapterDelta::of_bias);
        if (match_.of(module.part).size() == before) return leave(module, "nothing to apply beside it");
        match_.matched += module.tensors.size();
    }

  private:
    void leave(const AdapterModule& module, const std::string& reason) {
        for (const auto& [leaf, tensor] : module.tensors)
            match_.unknown.push_back({tensor.view.name, reason});
    }

    void add(const AdapterModule& module, const std::string& name,
             AdapterDelta (*make)(const AdapterModule&, const Shape&, const std::string&,
                                  const std::string&)) {
        const std::string target = "the " + component_.component() + "'s '" + name + "'";
        const std::string& who = module.tensors.begin()->second.view.name;
        const WeightMap::Entry* entry = component_.find(name);
        if (entry == nullptr || entry->view.shape.rank() == 0 || entry->view.shape.numel() == 0)
            broken(file_,
                   "tensor " + quoted_name(who) + " changes " + target + ", which this model does not have");
        const auto [place, added] = sources_.emplace(name, who);
        if (!added)
            broken(file_, "tensors " + quoted_name(place->second) + " and " + quoted_name(who) +
                              " both change " + target + ": the file holds it under two names");
        match_.of(module.part).emplace(name, make(module, entry->view.shape, file_.path().string(), target));
    }

    const AdapterFile& file_;
    const WeightMap& component_;
    const Changeable& changeable_;
    std::map<std::string, std::string, std::less<>> spellings_;
    std::map<std::string, std::string> sources_;  // by the tensor that is changed
    AdapterMatch& match_;
};

std::int64_t context_width(const WeightMap& unet) {
    for (const auto& [name, entry] : unet.entries())
        if (name.ends_with(".attn2.to_k.weight") && entry.view.shape.rank() == 2) return entry.view.shape[1];
    return 0;
}

void check_base(const AdapterFile& file, const WeightMap& unet) {
    const std::int64_t theirs = file.context_width();
    const std::int64_t ours = context_width(unet);
    const std::string_view base = base_of_context(theirs);
    if (theirs == 0 || ours == 0 || theirs == ours || base.empty()) return;
    broken(file, "this adapter is for " + std::string(base) + ": its cross-attention takes text states " +
                     std::to_string(theirs) + " wide, expected " + std::to_string(ours));
}

void check_any(const AdapterFile& file, const AdapterMatch& match) {
    if (match.matched > 0) return;
    std::string text = "none of its " + std::to_string(file.tensor_count()) + " tensors fits this model";
    if (!match.unknown.empty()) {
        const UnknownTensor& first = match.unknown.front();
        text += ": " + quoted_name(first.name) + (first.reason.empty() ? "" : " (" + first.reason + ")");
    }
    for (const char* key : {"modelspec.architecture", "ss_base_model_version"})
        if (const auto found = file.metadata().find(key); found != file.metadata().end()) {
            text += "; its metadata says that it is for " + quoted_name(found->second);
            break;
        }
    broken(file, text);
}

}  // namespace

AdapterMatch match_adapter(const AdapterFile& file, const WeightMap& unet, const WeightMap* text_encoder,
                           const WeightMap& text_encoder_2, const Changeable& changeable) {
    check_base(file, unet);
    AdapterMatch match;
    match.unknown = file.unknown();
    const std::array<const WeightMap*, kAdapterParts> components{&unet, text_encoder, &text_encoder_2};
    for (std::size_t i = 0; i < kAdapterParts; ++i) {
        const auto part = static_cast<AdapterPart>(i);
        std::optional<PartMatcher> matcher;
        if (components[i] != nullptr && !components[i]->entries().empty())
            matcher.emplace(file, part, *components[i], changeable, match);
        for (const AdapterModule& module : file.modules()) {
            if (module.part != part) continue;
            if (matcher)
                matcher->take(module);
            else
                match.skipped += module.tensors.size();
        }
    }
    check_any(file, match);
    return match;
}

}  // namespace sdxl
