#include "protocol/adapter_items.h"

namespace sdxl {

bool is_enabled(const Members& members) {
    const auto enabled = members.flag("enabled");
    return !enabled || enabled->value;
}

std::optional<AdapterItems> find_adapters(const Members& holder, const char* name,
                                          std::initializer_list<const char*> of_items, Report& report) {
    AdapterItems found{{}, holder.object(name)};
    if (!is_enabled(found.around)) return std::nullopt;
    found.items = found.around.list("models");
    if (!found.items.empty())
        for (const char* member : of_items)
            if (const auto pointer = found.around.pointer_of(member))
                report.warn(*pointer, "has no effect beside a list: set it in the list's items");
    // Without a list the object is the only item, unless it holds switches alone.
    if (found.items.empty()) {
        found.items = holder.list(name);
        const bool alone = !holder.items(name);
        std::erase_if(found.items, [&](const Members::Item& item) {
            return alone && !item.text && !item.object.has_text();
        });
    }
    std::erase_if(found.items, [](const Members::Item& item) { return !is_enabled(item.object); });
    if (found.items.empty()) return std::nullopt;
    return found;
}

}  // namespace sdxl
