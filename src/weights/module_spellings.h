// How LoRA-like files spell a model's modules.
#pragma once

#include <map>
#include <string>

#include "weights/adapter_names.h"
#include "weights/weight_scope.h"

namespace sdxl {

// Every spelling that AdapterName::path may have for a module of this component, with the module's canonical
// name: "down_blocks_1_attentions_0_proj_in" and "input_blocks_4_1_proj_in" are
// "down_blocks.1.attentions.0.proj_in". Learnt from the model's own names, so any size of it will do.
std::map<std::string, std::string, std::less<>> module_spellings(const WeightMap& component,
                                                                 AdapterPart part);

}  // namespace sdxl
