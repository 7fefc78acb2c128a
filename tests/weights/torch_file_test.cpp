// PyTorch's files, made here byte by byte. Once, by hand, files that torch 1.13 had written were read, too.
#include "weights/torch_file.h"

#include <gtest/gtest.h>

#include <cstring>

#include "expect_failure.h"
#include "model_builder.h"
#include "torch_builder.h"
#include "weights/adapter_file.h"
#include "weights/checkpoint.h"
#include "weights/owned_bytes.h"
#include "weights/resolve_model.h"
#include "weights/textual_inversion_file.h"
#include "weights/vae_file.h"

namespace sdxl {
namespace {

using namespace testing;
namespace p = testing::pickle;

FileTensors read(const std::string& file) {
    const auto* begin = reinterpret_cast<const std::byte*>(file.data());
    const auto bytes =
        std::make_shared<const OwnedBytes>("made.ckpt", std::vector<std::byte>(begin, begin + file.size()));
    return read_torch_tensors(bytes->bytes(), bytes);
}

std::string floats(const std::vector<float>& values) {
    std::string bytes(values.size() * sizeof(float), '\0');
    std::memcpy(bytes.data(), values.data(), bytes.size());
    return bytes;
}

std::vector<float> values_of(const FileTensor& tensor) {
    std::vector<float> values(static_cast<std::size_t>(tensor.view.shape.numel()));
    std::memcpy(values.data(), tensor.view.data, values.size() * sizeof(float));
    return values;
}

// A tensor of six floats in storage "0".
std::string six(std::int64_t offset, const std::vector<std::int64_t>& sizes,
                const std::vector<std::int64_t>& strides) {
    return p::tensor(p::storage("FloatStorage", "0", 6), offset, sizes, strides);
}
const std::string kSix = floats({0, 1, 2, 3, 4, 5});

std::string archive_of(const std::string& root) {
    return torch_archive(p::start() + root + ".", {kSix});
}

void refused(const std::string& file, ErrorCode code, std::initializer_list<std::string> named) {
    expect_failure([&] { read(file); }, code, named);
}

TEST(TorchFile, TensorsAreViewsOfTheFile) {
    const TemporaryFolder folder;
    const auto path = folder.write("a.pt", archive_of(p::dict({{"a", six(0, {2, 3}, {3, 1})},
                                                               {"b", six(2, {2}, {1})},
                                                               {"empty", six(6, {0, 3}, {3, 1})},
                                                               {"one", six(5, {}, {})}})));
    const FileTensors tensors = open_torch_file(path);
    ASSERT_EQ(tensors.size(), 4U);
    EXPECT_EQ(tensors.at("a").view.shape, (Shape{2, 3}));
    EXPECT_EQ(values_of(tensors.at("a")), (std::vector<float>{0, 1, 2, 3, 4, 5}));
    EXPECT_EQ(values_of(tensors.at("b")), (std::vector<float>{2, 3}));
    EXPECT_EQ(tensors.at("b").view.data, tensors.at("a").view.data + 2 * sizeof(float));
    EXPECT_EQ(tensors.at("one").view.shape, Shape{});
    EXPECT_EQ(tensors.at("a").bytes->path(), path.string());
}

TEST(TorchFile, CheckpointsHoldTheirStateBesideOtherThings) {
    const std::string parameter =
        p::call(p::name("torch._utils", "_rebuild_parameter"),
                six(0, {6}, {1}) + "\x88" + p::call(p::name("collections", "OrderedDict"), ""));
    const std::string metadata = p::dict({{"_metadata", p::call(p::name("collections", "OrderedDict"), "")}});
    const std::string ordered = p::call(p::name("collections", "OrderedDict"), "") + "(" + p::text("w") +
                                parameter + "u" + metadata + "b";
    const std::string root = p::dict({{"optimizer_states", "]" + six(0, {1}, {1}) + "a"},
                                      {"callbacks", "}" + p::name("lightning", "Checkpoint") + "}s"},
                                      {"state_dict", ordered}});
    const FileTensors tensors = read(archive_of(root));
    ASSERT_EQ(tensors.size(), 1U);
    EXPECT_EQ(values_of(tensors.at("w")).size(), 6U);
    const FileTensors nested = read(archive_of(p::dict(
        {{"image_proj", p::dict({{"w", six(0, {6}, {1})}})}, {"list", "]" + six(1, {2}, {1}) + "a"}})));
    EXPECT_TRUE(nested.contains("image_proj.w"));
    EXPECT_TRUE(nested.contains("list.0"));
}

TEST(TorchFile, NewerProtocolsSayTheSame) {
    const std::string name = "\x8c\x0ctorch._utils\x8c\x12_rebuild_tensor_v2\x93\x94";
    const std::string storage =
        "(\x8c\x07storage\x8c\x05torch\x8c\x0c"
        "FloatStorage\x93\x8c\x01"
        "0\x8c\x03"
        "cpuK\x06t\x94Q";
    const std::string root =
        "}\x94\x8c\x01"
        "a" +
        name + "(" + storage + "K\x00" + "K\x06\x85K\x01\x85\x89}tRs";
    std::string data = p::start(4) + "\x95" + std::string(8, '\0') + root;
    // A literal ends at its first zero: K 0 is put in here.
    const auto zero = data.find("QK") + 2;
    data.insert(zero, 1, '\0');
    const FileTensors tensors = read(torch_archive(data + ".", {kSix}));
    EXPECT_EQ(values_of(tensors.at("a")), (std::vector<float>{0, 1, 2, 3, 4, 5}));
}

TEST(TorchFile, WhatLiesOtherwiseIsCopiedRowByRow) {
    const FileTensors tensors = read(archive_of(p::dict(
        {{"t", six(0, {3, 2}, {1, 3})}, {"wide", six(1, {3, 2}, {0, 1})}, {"step", six(1, {3}, {2})}})));
    EXPECT_EQ(values_of(tensors.at("t")), (std::vector<float>{0, 3, 1, 4, 2, 5}));
    EXPECT_EQ(values_of(tensors.at("wide")), (std::vector<float>{1, 2, 1, 2, 1, 2}));
    EXPECT_EQ(values_of(tensors.at("step")), (std::vector<float>{1, 3, 5}));
}

TEST(TorchFile, TheOldFormIsReadToo) {
    const std::string magic = "\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19";
    const auto one = [](const std::string& value) { return p::start() + value + "."; };
    const std::string tensor = p::tensor(p::storage("FloatStorage", "77", 6, "N"), 1, {2, 2}, {2, 1});
    const std::string file = one(magic) + one("M\xe9\x03") + one(p::dict({})) +
                             one(p::dict({{"a", tensor}})) + one("](" + p::text("77") + "e") +
                             number_bytes(6, 8) + kSix;
    EXPECT_EQ(values_of(read(file).at("a")), (std::vector<float>{1, 2, 3, 4}));
    for (std::size_t size = 0; size < file.size(); ++size)
        EXPECT_THROW(read(file.substr(0, size)), Failure) << size;
    refused(one(p::integer(3)), ErrorCode::kUnsupported, {"not one of PyTorch's"});
}

TEST(TorchFile, NothingIsCalledButWhatMakesTensors) {
    const std::string system = p::name("os", "system");
    const std::string stacked = p::text("os") + p::text("system") + "\x93";
    for (const std::string& evil :
         {p::call(system, p::text("id")), p::call(stacked, p::text("id")),
          system + "(" + p::text("id") + "t\x81",
          p::call(p::name("torch._utils", "_rebuild_tensor_v2") + "0" + system, "")})
        for (const std::string& file : {archive_of(p::dict({{"a", evil}})), archive_of(evil),
                                        p::start() + p::dict({{"a", evil}}) + "."})
            refused(file, ErrorCode::kUnsupported, {"'os.system'", "nothing in it is executed"});
    // A state for an object, and instructions that make one.
    refused(archive_of(p::dict({{"a", system + "}b"}})), ErrorCode::kUnsupported, {"os.system"});
    for (const char* code : {"i", "o", "P", "\x82", "\x92", "\x97"})
        refused(archive_of(p::dict({{"a", code}})), ErrorCode::kUnsupported, {"instruction 0x"});
    // A name alone does nothing.
    EXPECT_EQ(read(archive_of(p::dict({{"n", system}, {"a", six(0, {6}, {1})}}))).size(), 1U);
}

TEST(TorchFile, ATensorOutsideItsStorageIsNamed) {
    struct Bad {
        std::int64_t offset;
        std::vector<std::int64_t> sizes, strides;
    };
    const std::int64_t huge = 0x7fffffff;
    const Bad cases[] = {{1, {6}, {1}},
                         {0, {7}, {1}},
                         {6, {1}, {1}},
                         {6, {}, {}},
                         {0, {2, 3}, {4, 1}},
                         {0, {3, 3}, {0, 0}},
                         {-1, {1}, {1}},
                         {0, {-1}, {1}},
                         {0, {2}, {-1}},
                         {0, {2, 3}, {1}},
                         {huge, {1}, {1}},
                         {0, {huge, huge}, {1, 1}},
                         {0, {2}, {huge}},
                         {0, {huge, huge, huge, 0}, {1, 1, 1, 1}},
                         {0, {1, 1, 1, 1, 1, 1, 1, 1, 1}, {1, 1, 1, 1, 1, 1, 1, 1, 1}}};
    for (const auto& [offset, sizes, strides] : cases)
        refused(archive_of(p::dict({{"bad", six(offset, sizes, strides)}})), ErrorCode::kInvalidModel,
                {"'bad'"});
    const auto with_storage = [](const std::string& storage) {
        return archive_of(p::dict({{"bad", p::tensor(storage, 0, {1}, {1})}}));
    };
    refused(with_storage(p::storage("FloatStorage", "0", 7)), ErrorCode::kInvalidModel, {"expected 7"});
    refused(with_storage(p::storage("FloatStorage", "9", 1)), ErrorCode::kInvalidModel, {"'9'", "'bad'"});
    refused(with_storage(p::storage("ComplexFloatStorage", "0", 1)), ErrorCode::kUnsupported,
            {"torch.ComplexFloatStorage"});
    refused(with_storage("N"), ErrorCode::kInvalidModel, {"no storage"});
}

TEST(TorchFile, RepetitionAndDepthHaveBounds) {
    std::string laughs = "]q\x01" + six(0, {1}, {1}) + "a0";
    for (int i = 1; i < 40; ++i) {
        const std::string before = "h" + number_bytes(static_cast<std::uint64_t>(i), 1);
        laughs += "](" + before + before + "eq" + number_bytes(static_cast<std::uint64_t>(i + 1), 1) + "0";
    }
    refused(archive_of(laughs + p::dict({{"a", "h" + number_bytes(40, 1)}})), ErrorCode::kInvalidModel,
            {"made.ckpt"});
    refused(archive_of(p::dict({{"a",
                                 "]q\x01h\x01"
                                 "a"}})),
            ErrorCode::kInvalidModel, {"nested"});
    refused(archive_of(std::string(100000, '(')), ErrorCode::kInvalidModel, {"nested"});
    refused(archive_of(std::string(2000000, ']')), ErrorCode::kInvalidModel, {"too many"});
    refused(archive_of("]r\xff\xff\xff\xff"), ErrorCode::kInvalidModel, {"remembers"});
    for (const char* code :
         {"0", "a", "s", "t", "u", "R", "b", "Q", "h\x05", "\x85", "}ta", "X\xff\xff\xff\xff"})
        refused(archive_of(code), ErrorCode::kInvalidModel, {"broken pickle"});
}

TEST(ZipEntries, ArchivesMayHaveTheir64BitForm) {
    const std::string data = p::start() + p::dict({{"a", six(0, {6}, {1})}}) + ".";
    const std::vector<ZipEntry> entries = {{"x/data.pkl", data}, {"x/data/0", kSix}};
    EXPECT_EQ(read(zip(entries, true)).size(), 1U);
    const std::string plain = zip(entries) + std::string(0, ' ');
    EXPECT_EQ(read(plain).size(), 1U);
    for (const std::string& whole : {plain, zip(entries, true)})
        for (std::size_t size = 0; size < whole.size(); ++size)
            EXPECT_THROW(read(whole.substr(0, size)), Failure) << size;
}

TEST(ZipEntries, BrokenArchivesAreSaidToBe) {
    const std::string data = p::start() + p::dict({{"a", six(0, {6}, {1})}}) + ".";
    refused(zip({{"x/data.pkl", data, 8}}), ErrorCode::kUnsupported, {"x/data.pkl", "compressed"});
    refused(zip({{"x/data.pkl", data, 0, 1}}), ErrorCode::kUnsupported, {"x/data.pkl", "encrypted"});
    refused(zip({{"x/data.pkl", data}, {"x/data.pkl", data}}), ErrorCode::kInvalidModel, {"two entries"});
    refused(zip({{"x/readme", data}}), ErrorCode::kUnsupported, {"without data.pkl"});
    refused(zip({{"x/data.pkl", data}, {"x/data/0", kSix}, {"x/byteorder", "big"}}), ErrorCode::kUnsupported,
            {"big-endian"});
    refused("PK\x03\x04", ErrorCode::kInvalidModel, {"made.ckpt"});
    refused("hello", ErrorCode::kInvalidModel, {"neither an archive nor a pickle"});
    // Each byte of the directory and of the local headers, changed: an error or the same tensor.
    const std::string whole = zip({{"x/data.pkl", data}, {"x/data/0", kSix}});
    for (std::size_t i = 0; i < whole.size(); ++i) {
        std::string changed = whole;
        changed[i] = static_cast<char>(changed[i] ^ 0x41);
        try {
            read(changed);
        } catch (const Failure& failure) {
            const ErrorCode code = failure.error().code;
            EXPECT_TRUE(code == ErrorCode::kInvalidModel || code == ErrorCode::kUnsupported) << i;
        }
    }
}

TEST(TorchFile, StandsWhereverASafetensorsFileMay) {
    const TemporaryFolder folder;
    const auto model = folder.write("m.ckpt", torch_file_of(safetensors(tiny_base()), true));
    EXPECT_EQ(
        open_checkpoint(model).unet.entries().size(),
        open_checkpoint(folder.write("m2.safetensors", safetensors(tiny_base()))).unet.entries().size());
    EXPECT_EQ(resolve_model("m", folder.path(), false), model);
    EXPECT_TRUE(models_in(folder.path()).contains("m"));

    const std::string lora =
        safetensors({{"lora_unet_mid_block_attentions_0_proj_in.lora_down.weight", {2, 4}},
                     {"lora_unet_mid_block_attentions_0_proj_in.lora_up.weight", {4, 2}}});
    const AdapterFile adapter = AdapterFile::open(folder.write("l.pt", torch_file_of(lora)));
    EXPECT_EQ(adapter.modules().size(), 1U);
    EXPECT_NE(adapter.content_hash(), "");

    const std::string vectors = safetensors_of({{"clip_l", {1, 768}, std::vector<float>(768, 0.5F)},
                                                {"clip_g", {1, 1280}, std::vector<float>(1280, 0.25F)}});
    const auto inversion = load_textual_inversion(folder.write("e.pt", torch_file_of(vectors)));
    EXPECT_EQ(inversion->vectors, 1);
    EXPECT_EQ(inversion->clip_g.values[7], 0.25F);
    EXPECT_EQ(load_textual_inversion(folder.write("f.safetensors", torch_file_of(vectors)))->vectors, 1);

    const std::string vae =
        safetensors({{"decoder.conv_in.weight", {1, 4, 1, 1}}, {"encoder.conv_in.weight", {1, 3, 1, 1}}});
    EXPECT_EQ(open_vae(folder.write("v.pt", torch_file_of(vae))).weights.entries().size(), 2U);
}

}  // namespace
}  // namespace sdxl
