#include "weights/safetensors.h"

#include <gtest/gtest.h>

#include <cstring>
#include <ostream>

#include "expect_failure.h"
#include "model_builder.h"

namespace sdxl {
namespace {

using testing::expect_failure;
using testing::safetensors;
using testing::TemporaryFolder;

// "a": four F16, "b": two F32, then 16 bytes of data.
constexpr const char* kGood =
    R"({"a":{"dtype":"F16","shape":[2,2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[2],"data_offsets":[8,16]}})";

struct Defect {
    const char* title;
    std::string file;
    ErrorCode code;
    std::initializer_list<std::string> named;
};

std::ostream& operator<<(std::ostream& out, const Defect& defect) {
    return out << defect.title;
}

class BrokenFile : public ::testing::TestWithParam<Defect> {};

TEST_P(BrokenFile, IsRefusedWithFileAndCause) {
    const TemporaryFolder folder;
    const auto path = folder.write("broken.safetensors", GetParam().file);
    expect_failure([&path] { SafetensorsFile::open(path); }, GetParam().code, GetParam().named);
    expect_failure([&path] { SafetensorsFile::open(path); }, GetParam().code, {path.string()});
}

// One tensor "a.b" with this record; `bytes` of data.
std::string one(const std::string& record, std::size_t bytes) {
    return safetensors("{\"a.b\":" + record + "}", std::string(bytes, 'x'));
}

std::string huge_header() {
    std::string file(16, '\0');
    file[5] = 1;
    return file;
}

std::string deep(std::size_t depth) {
    return safetensors("{\"a.b\":" + std::string(depth, '[') + std::string(depth, ']') + "}", "");
}

constexpr auto kModel = ErrorCode::kInvalidModel;
const Defect kDefects[] = {
    {"short", "abc", kModel, {"3 bytes"}},
    {"header_beyond_file", safetensors(kGood, "").substr(0, 40), kModel, {"truncated", "download it again"}},
    {"header_over_limit", huge_header(), kModel, {"100000000"}},
    {"not_json", safetensors("{oops", ""), kModel, {"not valid JSON"}},
    {"text_after_header", safetensors("{}x", ""), kModel, {"not valid JSON"}},
    {"bad_utf8", safetensors("{\"\xff\":1}", ""), kModel, {"not valid JSON"}},
    {"array", safetensors("[]", ""), kModel, {"an array", "expected a JSON object"}},
    {"number", safetensors("7", ""), kModel, {"a number", "expected a JSON object"}},
    {"deep", deep(100'000), kModel, {"'a.b'", "an array"}},
    {"deep_shape",
     one(R"({"dtype":"F16","shape":[[2]],"data_offsets":[0,4]})", 4),
     kModel,
     {"'a.b'", "an array"}},
    {"record_is_null", safetensors(R"({"a.b":null})", ""), kModel, {"'a.b'", "null"}},
    {"duplicate_tensor",
     safetensors(R"({"a.b":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},)"
                 R"("a.b":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}})",
                 "xx"),
     kModel,
     {"'a.b'", "twice"}},
    {"duplicate_field",
     one(R"({"dtype":"U8","dtype":"U8","shape":[1],"data_offsets":[0,1]})", 1),
     kModel,
     {"'a.b'", "'dtype' twice"}},
    {"unknown_field",
     one(R"({"dtype":"U8","shape":[1],"data_offsets":[0,1],"extra":1})", 1),
     kModel,
     {"'a.b'", "'extra'"}},
    {"unknown_dtype",
     one(R"({"dtype":"Q9","shape":[1],"data_offsets":[0,1]})", 1),
     kModel,
     {"'a.b'", "'Q9'"}},
    {"f8_e4m3",
     one(R"({"dtype":"F8_E4M3","shape":[1],"data_offsets":[0,1]})", 1),
     ErrorCode::kUnsupported,
     {"'a.b'", "F8_E4M3", "F16"}},
    {"f8_e5m2",
     one(R"({"dtype":"F8_E5M2","shape":[1],"data_offsets":[0,1]})", 1),
     ErrorCode::kUnsupported,
     {"'a.b'", "F8_E5M2"}},
    {"no_dtype", one(R"({"shape":[1],"data_offsets":[0,1]})", 1), kModel, {"'a.b'", "no 'dtype'"}},
    {"no_shape", one(R"({"dtype":"U8","data_offsets":[0,1]})", 1), kModel, {"'a.b'", "no 'shape'"}},
    {"no_offsets", one(R"({"dtype":"U8","shape":[1]})", 1), kModel, {"'a.b'", "no 'data_offsets'"}},
    {"dtype_is_number",
     one(R"({"dtype":5,"shape":[1],"data_offsets":[0,1]})", 1),
     kModel,
     {"'a.b'", "'dtype'"}},
    {"shape_is_string",
     one(R"({"dtype":"U8","shape":"1","data_offsets":[0,1]})", 1),
     kModel,
     {"'a.b'", "'shape'"}},
    {"negative_extent",
     one(R"({"dtype":"U8","shape":[-1],"data_offsets":[0,1]})", 1),
     kModel,
     {"'a.b'", "-1", "'shape'"}},
    {"fractional_extent",
     one(R"({"dtype":"U8","shape":[1.5],"data_offsets":[0,1]})", 1),
     kModel,
     {"'a.b'", "1.5"}},
    {"extent_beyond_int64",
     one(R"({"dtype":"U8","shape":[9223372036854775808],"data_offsets":[0,1]})", 1),
     kModel,
     {"'a.b'", "9223372036854775808"}},
    {"extent_beyond_uint64",
     one(R"({"dtype":"U8","shape":[99999999999999999999],"data_offsets":[0,1]})", 1),
     kModel,
     {"'a.b'"}},
    {"rank",
     one(R"({"dtype":"U8","shape":[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1],"data_offsets":[0,1]})", 1),
     kModel,
     {"'a.b'", "more than 16"}},
    {"product_overflows",
     one(R"({"dtype":"F16","shape":[4294967296,4294967296],"data_offsets":[0,0]})", 0),
     kModel,
     {"'a.b'", "impossible"}},
    {"one_offset",
     one(R"({"dtype":"U8","shape":[1],"data_offsets":[0]})", 1),
     kModel,
     {"'a.b'", "expected 2"}},
    {"ends_before_start",
     one(R"({"dtype":"U8","shape":[1],"data_offsets":[1,0]})", 1),
     kModel,
     {"'a.b'", "before its start"}},
    {"size_differs",
     one(R"({"dtype":"F16","shape":[2,3],"data_offsets":[0,10]})", 10),
     kModel,
     {"'a.b'", "10 bytes", "[2, 3]", "12"}},
    {"beyond_data",
     one(R"({"dtype":"F16","shape":[4],"data_offsets":[0,8]})", 6),
     kModel,
     {"'a.b'", "byte 8", "only 6", "truncated"}},
    {"overlap",
     safetensors(
         R"({"a.b":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"c.d":{"dtype":"U8","shape":[4],"data_offsets":[2,6]}})",
         "123456"),
     kModel,
     {"'a.b'", "'c.d'", "overlaps"}},
    {"hole",
     safetensors(
         R"({"a.b":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"c.d":{"dtype":"U8","shape":[2],"data_offsets":[4,6]}})",
         "123456"),
     kModel,
     {"hole of 2 bytes", "'a.b'", "'c.d'"}},
    {"hole_at_start",
     one(R"({"dtype":"U8","shape":[1],"data_offsets":[1,2]})", 2),
     kModel,
     {"hole of 1 bytes", "'a.b'"}},
    {"bytes_left_over",
     one(R"({"dtype":"U8","shape":[1],"data_offsets":[0,1]})", 3),
     kModel,
     {"2 bytes", "'a.b'", "no tensor"}},
    {"metadata_is_array", safetensors(R"({"__metadata__":[]})", ""), kModel, {"'__metadata__'", "an array"}},
    {"metadata_number",
     safetensors(R"({"__metadata__":{"format":7}})", ""),
     kModel,
     {"'format'", "expected a string"}},
    {"metadata_twice", safetensors(R"({"__metadata__":{"k":"1","k":"2"}})", ""), kModel, {"'k'", "twice"}},
    {"lfs_pointer", "version https://git-lfs.github.com/spec/v1\noid sha256:00\n", kModel, {"git lfs pull"}},
    {"web_page", "<!DOCTYPE html><html>", kModel, {"web page"}},
    {"pytorch_zip", "PK\x03\x04 and so on, long enough", kModel, {"convert it to safetensors"}},
};

INSTANTIATE_TEST_SUITE_P(Safetensors, BrokenFile, ::testing::ValuesIn(kDefects),
                         [](const auto& item) { return std::string(item.param.title); });

TEST(SafetensorsFile, GivesViewsOfWhatTheFileHolds) {
    const TemporaryFolder folder;
    // An odd header length leaves the data unaligned.
    const auto path =
        folder.write("good.safetensors", safetensors(std::string(kGood) + "  ", "0123456789abcdef"));
    const auto files = open_tensor_files(path);
    ASSERT_EQ(files.tensors.size(), 2U);
    const HostView& view = files.tensors.at("b").view;
    EXPECT_EQ(view.dtype, DType::kF32);
    EXPECT_EQ(view.shape, (Shape{2}));
    EXPECT_EQ(view.name, "b");
    EXPECT_EQ(std::memcmp(view.data, "89abcdef", 8), 0);
}

TEST(SafetensorsFile, AcceptsMetadataScalarsEmptyTensorsAndAnyOrder) {
    const TemporaryFolder folder;
    const auto path = folder.write(
        "odd.safetensors",
        safetensors(
            R"({"z":{"data_offsets":[1,3],"shape":[],"dtype":"BF16"},"__metadata__":{"format":"pt"},)"
            R"("e":{"dtype":"F32","shape":[0,7],"data_offsets":[1,1]},"a":{"dtype":"BOOL","shape":[1],"data_offsets":[0,1]}})",
            "123"));
    const auto file = SafetensorsFile::open(path);
    EXPECT_EQ(file->header().metadata.at("format"), "pt");
    ASSERT_EQ(file->header().tensors.size(), 3U);
    EXPECT_EQ(file->header().tensors[0].name, "a");
    EXPECT_EQ(file->header().tensors[1].name, "e");
    EXPECT_EQ(file->header().tensors[2].name, "z");
    EXPECT_EQ(file->header().tensors[2].shape.numel(), 1);
}

TEST(SafetensorsFile, AcceptsAFileWithoutTensors) {
    const TemporaryFolder folder;
    EXPECT_TRUE(open_tensor_files(folder.write("none.safetensors", safetensors("{}", ""))).tensors.empty());
}

TEST(SafetensorsFile, CutsLongNamesInMessagesAtACharacter) {
    std::string name;
    for (int i = 0; i < 200; ++i) name += "é";
    const std::string quoted = quoted_name("x" + name);
    EXPECT_LT(quoted.size(), 170U);
    EXPECT_TRUE(quoted.ends_with("é…'")) << quoted;
}

TEST(SafetensorsFile, NamesAMissingFile) {
    expect_failure([] { SafetensorsFile::open("/nonexistent/m.safetensors"); }, ErrorCode::kNotFound,
                   {"/nonexistent/m.safetensors"});
}

}  // namespace
}  // namespace sdxl
