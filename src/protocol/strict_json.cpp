#include "protocol/strict_json.h"

#include <cstddef>
#include <deque>
#include <string>
#include <utility>
#include <vector>

#include "protocol/key_names.h"

namespace sdxl {
namespace {

constexpr std::size_t kLongestShown = 160;  // of a name or reason in a message, in bytes

// Never cut inside a character.
std::string shown(const std::string& name) {
    if (name.size() <= kLongestShown) return name;
    std::size_t end = kLongestShown;
    while (end > 0 && (static_cast<unsigned char>(name[end]) & 0xC0U) == 0x80U) --end;
    return name.substr(0, end) + "...";
}

// Builds the document and keeps the first error. After a duplicate or too deep a member it reads on, without
// keeping that member, so that an id that stands behind it is still found.
class Builder : public nlohmann::json_sax<Json> {
  public:
    explicit Builder(ParsedLine& line) : line_(line) {}

    bool null() override { return add(nullptr); }
    bool boolean(bool value) override { return add(value); }
    bool number_integer(number_integer_t value) override { return add(value); }
    bool number_unsigned(number_unsigned_t value) override { return add(value); }
    bool number_float(number_float_t value, const string_t&) override { return add(value); }
    bool string(string_t& value) override { return add(std::move(value)); }
    bool binary(binary_t&) override { return false; }

    bool start_object(std::size_t) override { return open(Json::object()); }
    bool end_object() override { return close(); }
    bool start_array(std::size_t) override { return open(Json::array()); }
    bool end_array() override { return close(); }

    bool key(string_t& name) override {
        if (skipped_ > 0) return true;
        Frame& frame = stack_.back();
        const auto [member, inserted] = frame.container->emplace(name, nullptr);
        frame.key = name;
        if (inserted) {
            frame.slot = &member.value();
        } else {
            // A pointer can be long: none is made that nobody reads.
            if (!line_.error)
                record("the member '" + shown(name) + "' stands twice in the same object; send it once",
                       join_pointer(pointer(stack_.size() - 1), name));
            frame.slot = &discarded_.emplace_back();
        }
        return true;
    }

    bool parse_error(std::size_t position, const std::string&,
                     const nlohmann::detail::exception& e) override {
        std::string reason = e.what();
        // "[json.exception.parse_error.101] parse error at line 1, column 9: <reason>"
        if (const auto bracket = reason.find("] "); bracket != std::string::npos)
            reason.erase(0, bracket + 2);
        if (const auto column = reason.find("column "); column != std::string::npos)
            if (const auto colon = reason.find(": ", column); colon != std::string::npos)
                reason.erase(0, colon + 2);
        reason = shown(reason);
        record("the line is not valid JSON, at byte " + std::to_string(position) + ": " + reason +
                   "; expected one JSON object per line (NaN and Infinity are not JSON)",
               "");
        return false;
    }

  private:
    struct Frame {
        Json* container = nullptr;
        std::string key;
        Json* slot = nullptr;  // of the member that comes next
    };

    void record(std::string message, std::string pointer) {
        if (!line_.error)
            line_.error = Error{ErrorCode::kInvalidRequest, std::move(message), std::move(pointer)};
    }

    // Where the container of stack_[count] stands.
    std::string pointer(std::size_t count) const {
        std::string result;
        for (std::size_t i = 0; i < count; ++i) {
            const Frame& frame = stack_[i];
            result =
                join_pointer(result, frame.container->is_array() ? std::to_string(frame.container->size() - 1)
                                                                 : frame.key);
        }
        return result;
    }

    Json* place(Json value) {
        if (stack_.empty()) {
            line_.value = std::move(value);
            return &line_.value;
        }
        Frame& frame = stack_.back();
        if (frame.container->is_array()) {
            frame.container->push_back(std::move(value));
            return &frame.container->back();
        }
        *frame.slot = std::move(value);
        return frame.slot;
    }

    bool add(Json value) {
        if (skipped_ == 0) place(std::move(value));
        return true;
    }

    bool open(Json empty) {
        if (skipped_ > 0 || stack_.size() == static_cast<std::size_t>(kMaxDepth)) {
            if (skipped_++ == 0)
                record("objects and arrays are nested more than " + std::to_string(kMaxDepth) + " deep",
                       pointer(1));
            return true;
        }
        Json* container = place(std::move(empty));
        stack_.push_back({container, "", nullptr});
        return true;
    }

    bool close() {
        if (skipped_ > 0)
            --skipped_;
        else
            stack_.pop_back();
        return true;
    }

    ParsedLine& line_;
    std::vector<Frame> stack_;
    std::deque<Json> discarded_;  // values of duplicate members
    std::size_t skipped_ = 0;     // how many levels beyond kMaxDepth we are
};

}  // namespace

ParsedLine parse_strict(std::string_view line) {
    ParsedLine parsed;
    Builder builder(parsed);
    Json::sax_parse(line.begin(), line.end(), &builder);
    if (!parsed.value.is_object()) {
        if (!parsed.error)
            parsed.error = Error{ErrorCode::kInvalidRequest,
                                 std::string("expected a JSON object, found ") + parsed.value.type_name() +
                                     "; a request is one object per line",
                                 ""};
        parsed.value = Json::object();
    }
    return parsed;
}

}  // namespace sdxl
