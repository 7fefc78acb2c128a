#include "torch_builder.h"

#include <span>

#include "weights/safetensors_header.h"

namespace sdxl::testing {

std::string number_bytes(std::uint64_t value, int bytes) {
    std::string text;
    for (int i = 0; i < bytes; ++i) text += static_cast<char>(value >> (8 * i) & 255U);
    return text;
}

namespace pickle {

std::string start(int protocol) {
    return "\x80" + number_bytes(static_cast<std::uint64_t>(protocol), 1);
}
std::string text(const std::string& value) {
    return "X" + number_bytes(value.size(), 4) + value;
}
std::string integer(std::int64_t value) {
    return "J" + number_bytes(static_cast<std::uint64_t>(value), 4);
}
std::string tuple(const std::vector<std::int64_t>& values) {
    std::string all = "(";
    for (const std::int64_t value : values) all += integer(value);
    return all + "t";
}
std::string name(const std::string& module, const std::string& name) {
    return "c" + module + "\n" + name + "\n";
}
std::string call(const std::string& callee, const std::string& arguments) {
    return callee + "(" + arguments + "tR";
}
std::string dict(const std::vector<std::pair<std::string, std::string>>& items) {
    std::string all = "}(";
    for (const auto& [key, value] : items) all += text(key) + value;
    return all + "u";
}
std::string storage(const std::string& type, const std::string& key, std::int64_t count,
                    const std::string& more) {
    return "(" + text("storage") + name("torch", type) + text(key) + text("cpu") + integer(count) + more +
           "tQ";
}
std::string tensor(const std::string& storage, std::int64_t offset, const std::vector<std::int64_t>& sizes,
                   const std::vector<std::int64_t>& strides) {
    const std::string hooks = call(name("collections", "OrderedDict"), "");
    return call(name("torch._utils", "_rebuild_tensor_v2"),
                storage + integer(offset) + tuple(sizes) + tuple(strides) + "\x89" + hooks);
}

}  // namespace pickle

std::string zip(const std::vector<ZipEntry>& entries, bool zip64) {
    constexpr std::uint64_t kIn64 = 0xffffffff;
    std::string file, directory;
    for (const auto& [name, content, method, flags] : entries) {
        const std::uint64_t place = file.size();
        const std::uint64_t size = zip64 ? kIn64 : content.size();
        const std::string common = number_bytes(flags, 2) + number_bytes(method, 2) + std::string(8, '\0') +
                                   number_bytes(size, 4) + number_bytes(size, 4) +
                                   number_bytes(name.size(), 2);
        file += "PK\x03\x04" + number_bytes(20, 2) + common + number_bytes(0, 2) + name + content;
        std::string extra;
        if (zip64)
            extra = number_bytes(1, 2) + number_bytes(24, 2) + number_bytes(content.size(), 8) +
                    number_bytes(content.size(), 8) + number_bytes(place, 8);
        directory += "PK\x01\x02" + number_bytes(20, 2) + number_bytes(20, 2) + common +
                     number_bytes(extra.size(), 2) + std::string(10, '\0') +
                     number_bytes(zip64 ? kIn64 : place, 4) + name + extra;
    }
    const std::uint64_t begin = file.size();
    file += directory;
    if (zip64) {
        const std::uint64_t end = file.size();
        file += "PK\x06\x06" + number_bytes(44, 8) + std::string(12, '\0') + number_bytes(entries.size(), 8) +
                number_bytes(entries.size(), 8) + number_bytes(directory.size(), 8) + number_bytes(begin, 8);
        file += "PK\x06\x07" + number_bytes(0, 4) + number_bytes(end, 8) + number_bytes(1, 4);
    }
    const std::uint64_t count = zip64 ? 0xffff : entries.size();
    return file + "PK\x05\x06" + std::string(4, '\0') + number_bytes(count, 2) + number_bytes(count, 2) +
           number_bytes(zip64 ? kIn64 : directory.size(), 4) + number_bytes(zip64 ? kIn64 : begin, 4) +
           std::string(2, '\0');
}

std::string torch_archive(const std::string& data_pkl, const std::vector<std::string>& storages) {
    std::vector<ZipEntry> entries = {{"archive/data.pkl", data_pkl}};
    for (std::size_t i = 0; i < storages.size(); ++i)
        entries.push_back({"archive/data/" + std::to_string(i), storages[i]});
    entries.push_back({"archive/version", "3\n"});
    return zip(entries);
}

std::string torch_file_of(const std::string& safetensors, bool checkpoint) {
    const auto header = parse_safetensors(
        {reinterpret_cast<const std::byte*>(safetensors.data()), safetensors.size()}, "made");
    std::vector<std::pair<std::string, std::string>> items;
    std::vector<std::string> storages;
    for (const TensorRecord& record : header.tensors) {
        const char* type = "FloatStorage";
        if (record.dtype == DType::kF16) type = "HalfStorage";
        if (record.dtype == DType::kBF16) type = "BFloat16Storage";
        if (record.dtype == DType::kI64) type = "LongStorage";
        std::vector<std::int64_t> strides(record.shape.rank(), 1);
        for (std::size_t i = strides.size(); i-- > 1;) strides[i - 1] = strides[i] * record.shape.dims()[i];
        items.emplace_back(record.name, pickle::tensor(pickle::storage(type, std::to_string(storages.size()),
                                                                       record.shape.numel()),
                                                       0, record.shape.dims(), strides));
        storages.push_back(safetensors.substr(static_cast<std::size_t>(header.data_offset + record.begin),
                                              static_cast<std::size_t>(record.end - record.begin)));
    }
    std::string root = pickle::dict(items);
    if (checkpoint) root = pickle::dict({{"epoch", pickle::integer(3)}, {"state_dict", root}});
    return torch_archive(pickle::start() + root + ".", storages);
}

}  // namespace sdxl::testing
