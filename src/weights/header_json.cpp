#include "weights/header_json.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "core/error.h"

namespace sdxl {
namespace {

constexpr std::size_t kMaxRank = 16;
constexpr std::string_view kMetadataKey = "__metadata__";

constexpr std::array<std::pair<std::string_view, DType>, 10> kDTypes{{
    {"F64", DType::kF64},
    {"F32", DType::kF32},
    {"F16", DType::kF16},
    {"BF16", DType::kBF16},
    {"I64", DType::kI64},
    {"I32", DType::kI32},
    {"I16", DType::kI16},
    {"I8", DType::kI8},
    {"U8", DType::kU8},
    {"BOOL", DType::kBool},
}};
constexpr std::array<std::string_view, 7> kUnsupportedDTypes{"F8_E4M3", "F8_E5M2", "F8_E8M0", "F4",
                                                             "U16",     "U32",     "U64"};

// The event handler of nlohmann::json::sax_parse. Throws Failure at the first event that does not belong.
class HeaderReader {
  public:
    explicit HeaderReader(const std::string& path) : path_(path) {}
    HeaderJson take() { return std::move(json_); }

    bool start_object(std::size_t /*elements*/) {
        if (where_ == Where::kOutside) {
            where_ = Where::kTop;
        } else if (where_ == Where::kTop && key_ == kMetadataKey) {
            where_ = Where::kMetadata;
        } else if (where_ == Where::kTop) {
            where_ = Where::kRecord;
            record_ = TensorRecord{};
            record_.name = key_;
            fields_.clear();
        } else {
            unexpected("an object");
        }
        return true;
    }

    bool key(std::string& name) {
        if (where_ == Where::kTop) {
            key_ = name;
            if (!names_.insert(name).second) broken(quoted_name(name) + " stands twice in the header");
        } else if (where_ == Where::kMetadata) {
            field_ = name;
            if (json_.metadata.contains(name)) broken("metadata " + quoted_name(name) + " stands twice");
        } else {
            field_ = name;
            if (field_ != "dtype" && field_ != "shape" && field_ != "data_offsets")
                broken_record("has an unknown field " + quoted_name(field_));
            if (!fields_.insert(field_).second) broken_record("has the field '" + field_ + "' twice");
        }
        return true;
    }

    bool end_object() {
        if (where_ == Where::kRecord) {
            for (const char* field : {"dtype", "shape", "data_offsets"})
                if (!fields_.contains(field)) broken_record("has no '" + std::string(field) + "'");
            json_.tensors.push_back(std::move(record_));
            where_ = Where::kTop;
        } else {
            where_ = where_ == Where::kMetadata ? Where::kTop : Where::kOutside;
        }
        return true;
    }

    bool start_array(std::size_t /*elements*/) {
        if (where_ != Where::kRecord || field_ == "dtype") unexpected("an array");
        numbers_.clear();
        where_ = Where::kNumbers;
        return true;
    }

    bool end_array() {
        if (field_ == "shape") {
            record_.shape = Shape(std::vector<std::int64_t>(numbers_.begin(), numbers_.end()));
        } else {
            if (numbers_.size() != 2)
                broken_record("has " + std::to_string(numbers_.size()) + " data_offsets, expected 2");
            record_.begin = numbers_[0];
            record_.end = numbers_[1];
        }
        where_ = Where::kRecord;
        return true;
    }

    bool string(std::string& value) {
        if (where_ == Where::kMetadata) {
            json_.metadata.emplace(field_, value);
        } else if (where_ == Where::kRecord && field_ == "dtype") {
            record_.dtype = dtype(value);
        } else {
            unexpected("a string");
        }
        return true;
    }

    bool number_unsigned(std::uint64_t value) {
        if (where_ != Where::kNumbers) unexpected("a number");
        if (value > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()))
            unexpected("the number " + std::to_string(value));
        if (numbers_.size() == kMaxRank)
            broken_record("has more than " + std::to_string(kMaxRank) + " numbers in '" + field_ + "'");
        numbers_.push_back(value);
        return true;
    }

    bool number_integer(std::int64_t value) { unexpected("the negative number " + std::to_string(value)); }
    bool number_float(double /*value*/, const std::string& text) { unexpected("the number " + text); }
    bool null() { unexpected("null"); }
    bool boolean(bool value) { unexpected(value ? "true" : "false"); }
    bool binary(std::vector<std::uint8_t>& /*value*/) { unexpected("binary data"); }

    bool parse_error(std::size_t position, const std::string& /*token*/, const std::exception& /*error*/) {
        broken("its header is not valid JSON at byte " + std::to_string(position) +
               ": the file is damaged, download it again");
    }

  private:
    enum class Where { kOutside, kTop, kMetadata, kRecord, kNumbers };

    [[noreturn]] void broken(const std::string& what) const {
        fail(ErrorCode::kInvalidModel, "'" + path_ + "': " + what);
    }
    [[noreturn]] void broken_record(const std::string& what) const {
        broken("tensor " + quoted_name(record_.name) + " " + what);
    }
    [[noreturn]] void unexpected(const std::string& found) const {
        switch (where_) {
            case Where::kOutside:
                broken("its header is " + found + ", expected a JSON object");
            case Where::kTop:
                broken((key_ == kMetadataKey ? "" : "tensor ") + quoted_name(key_) + " is " + found +
                       ", expected an object");
            case Where::kMetadata:
                broken("metadata " + quoted_name(field_) + " is " + found + ", expected a string");
            case Where::kRecord:
                broken_record("has " + found + " as '" + field_ + "', expected " +
                              (field_ == "dtype" ? "a string" : "an array of non-negative integers"));
            case Where::kNumbers:
                broken_record("has " + found + " in '" + field_ + "', expected non-negative integers");
        }
        broken("unexpected " + found);
    }

    DType dtype(const std::string& name) const {
        for (const auto& [text, value] : kDTypes)
            if (text == name) return value;
        if (std::ranges::find(kUnsupportedDTypes, name) != kUnsupportedDTypes.end())
            fail(ErrorCode::kUnsupported, "'" + path_ + "': tensor " + quoted_name(record_.name) +
                                              " is stored as " + name +
                                              ", which this worker does not support: use an F16, BF16 or "
                                              "F32 version of the model");
        broken_record("has the unknown dtype " + quoted_name(name) +
                      ", expected F16, BF16, F32 or another of the format's");
    }

    const std::string& path_;
    HeaderJson json_;
    Where where_ = Where::kOutside;
    std::string key_;    // at the top: a tensor's name or __metadata__
    std::string field_;  // inside a record or the metadata
    std::set<std::string, std::less<>> names_;
    std::set<std::string, std::less<>> fields_;
    std::vector<std::uint64_t> numbers_;
    TensorRecord record_;
};

}  // namespace

HeaderJson read_header_json(std::string_view json, const std::string& path) {
    HeaderReader reader(path);
    nlohmann::json::sax_parse(json, &reader);
    return reader.take();
}

}  // namespace sdxl
