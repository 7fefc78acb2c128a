// FieldReader: reads the members of one JSON object that a host sent, and knows afterwards which were not
// read.
//
// Names match ignoring case and underscores. null, "", [] and "none" mean "not set". What is wrong (a type, a
// range) is noted as a finding with a pointer to the member as it was sent, and counts as not set, so that a
// reader finds all that is wrong with a request. Each reader asks for members by all the names they may have,
// best first; finish() warns about those that nobody asked for. The object and the notes must outlive the
// reader. One thread.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/message.h"
#include "protocol/strict_json.h"

namespace sdxl {

using Names = std::initializer_list<std::string_view>;

// A value and where it stands in what was sent.
template <class T>
struct Field {
    T value;
    std::string pointer;
};

// What reading a request found out.
struct Notes {
    std::vector<std::string> warnings;
    std::vector<Finding> findings;
};

struct IntegerRange {
    std::int64_t least = 0;
    std::int64_t most = 0;
    std::int64_t multiple_of = 1;
};

class FieldReader {
  public:
    // REQUIRES: `object` is one.
    FieldReader(const Json& object, std::string pointer, Notes& notes);

    // Members of `outer` that this object does not have are read as if they stood here.
    void inherit(const FieldReader& outer, Names but);

    const std::string& pointer() const { return pointer_; }
    Notes& notes() const { return *notes_; }
    // Notes an error.
    void reject(ErrorCode code, std::string message, std::string pointer,
                std::vector<std::string> allowed = {}, std::string nearest = "") const;
    void warn(std::string_view pointer, std::string_view what) const;

    // The first of the names that is set. If others are set to something else they lose, with a warning; one
    // name twice in different spellings with different values is an error.
    std::optional<Field<const Json*>> find(Names names);

    std::optional<Field<std::string>> text(Names names, std::size_t most_bytes = 32 * 1024);
    std::optional<Field<std::int64_t>> integer(Names names, IntegerRange range);
    std::optional<Field<double>> number(Names names, double least, double most);
    std::optional<Field<bool>> flag(Names names);
    // The object under one of the names; one without members if it is not set.
    FieldReader object(Names names);
    // The objects in the list under one of the names; what is no object in it is a finding.
    std::vector<Field<const Json*>> objects(Names names, std::size_t most);

    // For what we know but do not have: an error if it is switched on. The number 0 switches nothing on.
    void refuse(Names names, std::string_view feature);
    // For what changes nothing here: a warning if it is switched on.
    void no_effect(Names names, std::string_view why);
    // For what the host only keeps for itself.
    void ignore(Names names) { find(names); }

    // Is the member there, and an object? Does not count as reading it.
    bool has_object(std::string_view name) const;
    bool has(std::string_view name) const;

    // Warns about every member that is still unread, with the name that was probably meant.
    void finish();

  private:
    void wrong(const Field<const Json*>& found, const std::string& expected) const;

    struct Member {
        std::string folded;
        const std::string* key;
        const Json* value;
        std::string pointer;
        std::shared_ptr<bool> read;  // shared with those that inherit it
        bool inherited = false;
    };

    std::string pointer_;
    Notes* notes_;
    std::vector<Member> members_;
    std::vector<std::string_view> asked_;  // names are literals
};

// Not set: null, "", "none", [].
bool is_unset(const Json& value);
// Switched off: not set, false, {}, {"enabled": false, ...}, or made of such things only.
bool is_off(const Json& value);
// For messages: a short value as it was sent, otherwise its kind.
std::string describe(const Json& value);

// The preferred place of a field that stands in two; a warning if the other one says something else.
template <class T>
std::optional<Field<T>> prefer(const std::optional<Field<T>>& first, const std::optional<Field<T>>& second,
                               const FieldReader& reader) {
    if (first && second && first->value != second->value)
        reader.warn(second->pointer, "is ignored, because " + first->pointer + " is set");
    return first ? first : second;
}

}  // namespace sdxl
