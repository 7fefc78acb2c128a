// What models can share, by what it was made of: a part that one model holds is not made again for another.
//
// Holds nothing alive itself. Threads: one at a time.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "weights/weight_scope.h"

namespace sdxl {

class ModelShelf {
  public:
    // The part of this key, made where no model has it.
    template <class T, class Make>
    std::shared_ptr<T> take(const std::string& key, const Make& make) {
        std::erase_if(parts_, [](const auto& part) { return part.second.expired(); });
        if (auto held = std::static_pointer_cast<T>(parts_[key].lock())) return held;
        std::shared_ptr<T> made = make();
        parts_[key] = made;
        return made;
    }

    // Of a component's files as they are now, and how it is read: `more` tells apart what they do not.
    static std::string key_of(const WeightMap& weights, const std::string& more);

  private:
    std::map<std::string, std::weak_ptr<void>> parts_;
};

}  // namespace sdxl
