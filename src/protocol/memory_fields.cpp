// The part of body_fields.h that knows the switches which trade speed for memory.
#include "protocol/body_fields.h"

namespace sdxl {
namespace {

// As bodies in snake_case and in PascalCase call them.
struct Switch {
    std::optional<Field<MemoryWish>> BodyFields::Memory::*field;
    MemoryWish MemoryWishes::*wish;
    const char* name;
    const char* enhanced_name;
};
using Fields = BodyFields::Memory;
using Wishes = MemoryWishes;
constexpr Switch kSwitches[] = {
    {&Fields::cpu_offload, &Wishes::cpu_offload, "cpu_offload", "CpuOffload"},
    {&Fields::sequential_cpu_offload, &Wishes::sequential_cpu_offload, "sequential_cpu_offload",
     "SequentialCpuOffload"},
    {&Fields::attention_slicing, &Wishes::attention_slicing, "attention_slicing", "AttentionSlicing"},
    {&Fields::vae_slicing, &Wishes::vae_slicing, "vae_slicing", "VaeSlicing"},
    {&Fields::vae_tiling, &Wishes::vae_tiling, "vae_tiling", "VaeTiling"},
};

std::optional<Field<MemoryWish>> read(const Members& holder, const char* name) {
    if (const auto flag = holder.flag(name))
        return Field<MemoryWish>{flag->value ? MemoryWish::kOn : MemoryWish::kOff, flag->pointer};
    const auto word = holder.text(name);
    if (!word) return std::nullopt;
    return Field<MemoryWish>{word->value == "never" ? MemoryWish::kNever : MemoryWish::kAuto, word->pointer};
}

}  // namespace

BodyFields::Memory read_memory(const Members& holder) {
    BodyFields::Memory memory;
    for (const Switch& each : kSwitches) {
        memory.*each.field = read(holder, each.name);
        if (!(memory.*each.field)) memory.*each.field = read(holder, each.enhanced_name);
    }
    return memory;
}

void fill_memory(BodyFields::Memory& mine, const BodyFields::Memory& others, Report* report) {
    for (const Switch& each : kSwitches) {
        const auto& other = others.*each.field;
        auto& own = mine.*each.field;
        if (!other) continue;
        if (!own)
            own = other;
        else if (report != nullptr && own->value != other->value)
            report->warn(other->pointer, "is ignored, because " + own->pointer + " is set");
    }
}

MemoryWishes memory_wishes(const BodyFields::Memory& fields) {
    MemoryWishes wishes;
    for (const Switch& each : kSwitches)
        if (const auto& field = fields.*each.field) wishes.*each.wish = field->value;
    return wishes;
}

}  // namespace sdxl
