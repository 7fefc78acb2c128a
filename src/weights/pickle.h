// Python's pickles as plain values. Nothing is imported or called: a call is a value that says which name was
// to be called with what, and only names that the reader lists may be.
//
// Format: Python's Lib/pickletools.py, protocols 2 to 5, without what state dictionaries have no use for.
// Bounded in depth, values and bytes, whatever the bytes are. Texts are views into the pickle. Threads: any;
// a pickle is read by one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace sdxl {

struct PickleValue {
    enum class Kind {
        kNone,
        kBool,
        kInt,
        kFloat,
        kText,
        kBytes,
        kTuple,
        kList,
        kDict,        // items: key, value, key, value
        kName,        // text: module.name
        kCall,        // text: module.name, items: arguments
        kPersistent,  // items: one, the id
    };
    Kind kind = Kind::kNone;
    std::int64_t integer = 0;  // also of kBool; of an integer too large for it, the lowest 64 bits
    std::string_view text = {};
    std::vector<std::uint32_t> items = {};
};

class Pickle {
  public:
    // Reads one pickle at the start of `bytes`. `calls` are the names that may be called; "path" is for
    // messages. Fails with kInvalidModel for bytes that are no pickle, and with kUnsupported, naming it, for
    // what is not in the list above.
    Pickle(std::span<const std::byte> bytes, std::span<const std::string_view> calls,
           const std::string& path);
    Pickle(Pickle&&) = default;
    Pickle(const Pickle&) = delete;  // texts are views into its own names
    Pickle& operator=(const Pickle&) = delete;

    const PickleValue& root() const { return values_[root_]; }
    const PickleValue& at(std::uint32_t id) const { return values_[id]; }
    std::uint32_t count() const { return static_cast<std::uint32_t>(values_.size()); }
    // How many bytes it took.
    std::size_t bytes() const { return used_; }

  private:
    friend class PickleReader;
    std::vector<PickleValue> values_;
    std::deque<std::string> names_;  // what `text` of names points to
    std::uint32_t root_ = 0;
    std::size_t used_ = 0;
};

}  // namespace sdxl
