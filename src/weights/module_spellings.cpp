#include "weights/module_spellings.h"

#include <algorithm>
#include <array>
#include <set>
#include <string_view>
#include <utility>

#include "weights/unet_names.h"

namespace sdxl {
namespace {

using Spellings = std::map<std::string, std::string, std::less<>>;

std::set<std::string> modules_of(const WeightMap& component) {
    std::set<std::string> modules;
    for (const auto& [name, entry] : component.entries())
        for (const std::string_view leaf : {".weight", ".bias"})
            if (name.ends_with(leaf)) modules.insert(name.substr(0, name.size() - leaf.size()));
    return modules;
}

std::string flat(std::string name) {
    std::ranges::replace(name, '.', '_');
    return name;
}

// Attention processors of older diffusers leave the list's index out: "to_out_lora" is to_out.0.
void add_unet(Spellings& spellings, const std::set<std::string>& modules) {
    for (const auto& [module, original] : original_unet_modules(modules))
        spellings.emplace(flat(original), module);
    constexpr std::string_view kIndex = ".0";
    for (const std::string& module : modules)
        if (module.ends_with(".to_out.0"))
            spellings.emplace(flat(module.substr(0, module.size() - kIndex.size())), module);
}

// And they name a text encoder's projections as a UNet's.
void add_text_encoder(Spellings& spellings, const std::set<std::string>& modules) {
    constexpr std::array<std::pair<std::string_view, std::string_view>, 4> kProjections{{
        {".q_proj", ".to_q"},
        {".k_proj", ".to_k"},
        {".v_proj", ".to_v"},
        {".out_proj", ".to_out"},
    }};
    for (const std::string& module : modules)
        for (const auto& [name, older] : kProjections)
            if (module.ends_with(name))
                spellings.emplace(flat(module.substr(0, module.size() - name.size()) + std::string(older)),
                                  module);
}

}  // namespace

Spellings module_spellings(const WeightMap& component, AdapterPart part) {
    const auto modules = modules_of(component);
    Spellings spellings;
    for (const std::string& module : modules) spellings.emplace(flat(module), module);
    part == AdapterPart::kUnet ? add_unet(spellings, modules) : add_text_encoder(spellings, modules);
    return spellings;
}

}  // namespace sdxl
