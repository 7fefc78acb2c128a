#include "protocol/normalise.h"

#include <algorithm>
#include <map>
#include <utility>
#include <vector>

#include "protocol/explain.h"
#include "protocol/json_values.h"
#include "protocol/key_names.h"

namespace sdxl {
namespace {

constexpr std::size_t kLongestName = 256;     // of a member or an enumerated value that can be known, bytes
constexpr std::size_t kMostItemsRead = 1024;  // of an array whose schema names no maxItems

// What a name can mean in one object.
struct Meaning {
    std::string_view name;  // the schema's
    const Json* rule = nullptr;
    std::size_t rank = 0;  // 0: it is the name itself; i: the i-th alias
};

// The names that are known in one object, from the `properties` of its rules.
class NameTable {
  public:
    void add(const Json& rule) {
        const auto members = rule.find("properties");
        if (members == rule.end()) return;
        for (const auto& [name, member] : members->items()) insert(name, {name, &member, 0});
        for (const auto& [name, member] : members->items()) {
            const auto aliases = member.find("x-aliases");
            if (aliases == member.end()) continue;
            std::size_t rank = 0;
            for (const auto& alias : *aliases)
                insert(alias.get_ref<const std::string&>(), {name, &member, ++rank});
        }
    }

    const Meaning* find(std::string_view name) const {
        if (name.size() > kLongestName) return nullptr;
        const auto found = meanings_.find(fold_name(name));
        return found == meanings_.end() ? nullptr : &found->second;
    }

    std::string_view nearest(std::string_view name) const { return nearest_name(name, names_); }

  private:
    void insert(std::string_view name, Meaning meaning) {
        if (meanings_.emplace(fold_name(name), meaning).second) names_.push_back(name);
    }

    std::map<std::string, Meaning, std::less<>> meanings_;
    std::vector<std::string_view> names_;
};

// Hosts serialize 0, or the default, for a number that nobody set.
bool is_switched_on(const Json& value, const Json& rule) {
    if (is_off(value) || value == 0) return false;
    const auto neutral = rule.find("default");
    return neutral == rule.end() || *neutral != value;
}

bool takes_type(const Json& rule, std::string_view type) {
    const auto types = rule.find("type");
    if (types == rule.end()) return true;
    if (types->is_string()) return types->get_ref<const std::string&>() == type;
    return std::find(types->begin(), types->end(), type) != types->end();
}

class Normaliser {
  public:
    Normaliser(Canonical& result, Report& report) : result_(result), report_(report) {}

    Json object(const Json& sent, const NameTable& names, const std::string& sent_pointer,
                const std::string& pointer);

  private:
    struct Candidate {
        const std::string* key = nullptr;
        const Json* value = nullptr;
        const Meaning* meaning = nullptr;
    };

    void take_better(Candidate& best, const Candidate& other, const std::string& sent_pointer);
    // Puts the value into `place`, unless nothing is left of it.
    void member(const Json& sent, const Json& rule, const std::string& sent_pointer,
                const std::string& pointer, Json& holder, const std::string& name);
    Json value(const Json& sent, const Json& rule, const std::string& sent_pointer,
               const std::string& pointer);
    // Its members have names of the host's own.
    Json free_object(const Json& sent, const Json& rule, const std::string& sent_pointer,
                     const std::string& pointer);
    Json array(const Json& sent, const Json& rule, const std::string& sent_pointer,
               const std::string& pointer);
    bool text_passes(const Json& sent, const Json& rule, const std::string& sent_pointer);

    Canonical& result_;
    Report& report_;
};

void Normaliser::take_better(Candidate& best, const Candidate& other, const std::string& sent_pointer) {
    if (best.value == nullptr) {
        best = other;
        return;
    }
    if (*best.value == *other.value) return;
    if (best.meaning->rank == other.meaning->rank) {
        report_.error(
            ErrorCode::kInvalidRequest,
            "'" + *best.key + "' and '" + *other.key + "' are one field with two values; send it once",
            join_pointer(sent_pointer, *other.key));
        return;
    }
    Candidate loser = other;
    if (other.meaning->rank < best.meaning->rank) {
        loser = best;
        best = other;
    }
    report_.warn(join_pointer(sent_pointer, *loser.key),
                 "is ignored, because " + join_pointer(sent_pointer, *best.key) + " is set");
}

Json Normaliser::object(const Json& sent, const NameTable& names, const std::string& sent_pointer,
                        const std::string& pointer) {
    std::map<std::string_view, Candidate> chosen;
    for (const auto& [key, value] : sent.get_ref<const Json::object_t&>()) {
        const Meaning* meaning = names.find(key);
        if (meaning == nullptr) {
            if (!report_.wants_warnings()) {
                report_.warn("", "");
                continue;
            }
            const std::string_view nearest = names.nearest(key);
            report_.warn(join_pointer(sent_pointer, key),
                         "is not a known field and is ignored" +
                             (nearest.empty() ? "" : "; did you mean '" + std::string(nearest) + "'?"));
        } else if (!is_unset(value)) {
            take_better(chosen[meaning->name], {&key, &value, meaning}, sent_pointer);
        }
    }
    Json canonical = Json::object();
    for (const auto& [name, candidate] : chosen)
        member(*candidate.value, *candidate.meaning->rule, join_pointer(sent_pointer, *candidate.key),
               join_pointer(pointer, name), canonical, std::string(name));
    return canonical;
}

void Normaliser::member(const Json& sent, const Json& rule, const std::string& sent_pointer,
                        const std::string& pointer, Json& holder, const std::string& name) {
    const auto why = rule.find("x-no-effect");
    if ((why != rule.end() || rule.contains("x-unsupported")) && !is_switched_on(sent, rule)) return;
    result_.sent.emplace(pointer, sent_pointer);
    if (text_passes(sent, rule, sent_pointer))
        holder[name] = value(sent, rule, sent_pointer, pointer);
    else
        result_.refused.insert(pointer);
    if (why != rule.end()) report_.warn(sent_pointer, "has no effect: " + why->get<std::string>());
}

bool Normaliser::text_passes(const Json& sent, const Json& rule, const std::string& sent_pointer) {
    if (!sent.is_string() || !takes_type(rule, "string")) return true;
    const auto& text = sent.get_ref<const std::string&>();
    auto finding = check_text(rule, text, sent_pointer);
    if (!finding) finding = check_available(rule, text, sent_pointer);
    if (!finding) return true;
    report_.error(std::move(*finding));
    return false;
}

Json Normaliser::value(const Json& sent, const Json& rule, const std::string& sent_pointer,
                       const std::string& pointer) {
    if (sent.is_object()) {
        if (const auto free = rule.find("additionalProperties"); free != rule.end() && free->is_object())
            return free_object(sent, *free, sent_pointer, pointer);
        if (!rule.contains("properties")) return Json::object();
        NameTable names;
        names.add(rule);
        return object(sent, names, sent_pointer, pointer);
    }
    if (sent.is_array()) return array(sent, rule, sent_pointer, pointer);
    if (sent.is_number_float() && takes_type(rule, "integer")) {
        if (const auto whole = as_integer(sent)) return *whole;
        // The validator asks for divisibility before it asks for the type, and only 64 bits are safe with it.
        if (rule.contains("multipleOf")) return nullptr;
    }
    const auto allowed = rule.find("enum");
    if (sent.is_string() && allowed != rule.end()) {
        const auto& text = sent.get_ref<const std::string&>();
        for (const auto& name : *allowed)
            if (name.is_string() && text.size() <= kLongestName &&
                same_name(name.get_ref<const std::string&>(), text))
                return name;
    }
    return sent;
}

Json Normaliser::free_object(const Json& sent, const Json& rule, const std::string& sent_pointer,
                             const std::string& pointer) {
    Json canonical = Json::object();
    for (const auto& [key, value] : sent.items())
        if (!is_unset(value))
            member(value, rule, join_pointer(sent_pointer, key), join_pointer(pointer, key), canonical, key);
    return canonical;
}

Json Normaliser::array(const Json& sent, const Json& rule, const std::string& sent_pointer,
                       const std::string& pointer) {
    const auto items = rule.find("items");
    static const Json anything = Json::object();
    const Json& item_rule = items == rule.end() ? anything : *items;
    // One more than may be, so that the schema finds that they are too many.
    const std::size_t count = std::min(sent.size(), rule.value("maxItems", kMostItemsRead) + 1);
    Json canonical = Json::array();
    for (std::size_t i = 0; i < count; ++i) {
        const std::string name = std::to_string(i);
        Json holder = Json::object();
        member(sent[i], item_rule, sent_pointer + "/" + name, pointer + "/" + name, holder, "item");
        // What is left out keeps its place, so that the others keep their pointers.
        const bool empty = sent[i].is_object() || sent[i].is_array();
        canonical.push_back(holder.contains("item") ? std::move(holder["item"])
                                                    : (empty ? Json::object() : sent[i]));
    }
    return canonical;
}

// The value at a JSON pointer; null if there is none.
const Json* value_at(const Json& root, const std::string& pointer) {
    const Json::json_pointer path(pointer);
    return root.contains(path) ? &root.at(path) : nullptr;
}

void erase_member(Json& root, const std::string& pointer) {
    const Json::json_pointer path(pointer);
    if (path.empty() || !root.contains(path)) return;
    Json& holder = root.at(path.parent_pointer());
    if (holder.is_object()) holder.erase(path.back());
}

// What is known but not there: after its own mistakes, since those would have to be mended first.
void report_missing_features(const Json& rule, const Json& value, const std::string& pointer,
                             Canonical& canonical, Report& report) {
    if (const auto feature = rule.find("x-unsupported"); feature != rule.end()) {
        const auto sent = canonical.sent.find(pointer);
        // Two schemas may know it.
        if (sent != canonical.sent.end() && canonical.refused.insert(pointer).second)
            report.error(
                ErrorCode::kUnsupported,
                feature->get<std::string>() + ": not available in this worker yet; leave this field out",
                sent->second);
        return;
    }
    const auto members = rule.find("properties");
    if (value.is_object() && members != rule.end()) {
        for (const auto& [name, member] : value.items())
            if (const auto inner = members->find(name); inner != members->end())
                report_missing_features(*inner, member, join_pointer(pointer, name), canonical, report);
    }
    if (value.is_array() && rule.contains("items"))
        for (std::size_t i = 0; i < value.size(); ++i)
            report_missing_features(rule["items"], value[i], pointer + "/" + std::to_string(i), canonical,
                                    report);
}

void check(Canonical& canonical, const Json& sent_object, std::span<const Schema* const> schemas,
           Report& report) {
    std::vector<std::string> wrong;
    for (const Schema* schema : schemas) {
        for (const Violation& violation : schema->check(canonical.value)) {
            if (canonical.refused.contains(violation.pointer)) continue;
            const auto place = canonical.sent.find(violation.pointer);
            const std::string pointer = place == canonical.sent.end() ? canonical.pointer : place->second;
            const Json* value = value_at(sent_object, pointer.substr(canonical.pointer.size()));
            if (std::find(wrong.begin(), wrong.end(), violation.pointer) != wrong.end()) continue;
            report.error(explain(violation, value, pointer));
            wrong.push_back(violation.pointer);
        }
    }
    for (const Schema* schema : schemas)
        report_missing_features(schema->document(), canonical.value, "", canonical, report);
    for (const std::string& pointer : wrong) {
        erase_member(canonical.value, pointer);
        canonical.refused.insert(pointer);
    }
}

}  // namespace

Canonical normalise(const SentObject& sent, std::span<const Schema* const> schemas, Report& report) {
    Canonical canonical;
    canonical.pointer = sent.pointer;
    NameTable names;
    for (const Schema* schema : schemas) names.add(schema->document());
    Normaliser normaliser(canonical, report);
    canonical.value = normaliser.object(*sent.object, names, sent.pointer, "");
    check(canonical, *sent.object, schemas, report);
    return canonical;
}

const Json* find_member(const SentObject& sent, std::string_view name, std::string* pointer) {
    // The exact spelling goes first, where there are several.
    if (const auto exact = sent.object->find(name); exact != sent.object->end() && !is_unset(*exact)) {
        if (pointer != nullptr) *pointer = join_pointer(sent.pointer, name);
        return &*exact;
    }
    for (const auto& [key, value] : sent.object->get_ref<const Json::object_t&>()) {
        if (key.size() > kLongestName || !same_name(key, name) || is_unset(value)) continue;
        if (pointer != nullptr) *pointer = join_pointer(sent.pointer, key);
        return &value;
    }
    return nullptr;
}

bool has_object(const SentObject& sent, std::string_view name) {
    const Json* member = find_member(sent, name);
    return member != nullptr && member->is_object();
}

}  // namespace sdxl
