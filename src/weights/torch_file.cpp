// Format: torch/serialization.py (_save and _legacy_save), torch/_utils.py (_rebuild_tensor_v2).
#include "weights/torch_file.h"

#include <algorithm>
#include <cctype>
#include <cstring>
#include <optional>
#include <utility>

#include "core/error.h"
#include "weights/owned_bytes.h"
#include "weights/pickle.h"
#include "weights/zip_entries.h"

namespace sdxl {
namespace {

namespace fs = std::filesystem;
using Kind = PickleValue::Kind;

constexpr int kMostDepth = 32;
constexpr std::size_t kMostTensors = 1U << 17U;
constexpr std::size_t kMostVisits = 1U << 21U;  // of values, some of which stand in several places
constexpr std::size_t kMostRank = 8;
constexpr std::size_t kMostNameBytes = 1024;
constexpr std::int64_t kMagic = static_cast<std::int64_t>(0x6a20f9469cfc6cULL | (0xa8ULL << 56U));

constexpr std::string_view kRebuild = "torch._utils._rebuild_tensor_v2";
constexpr std::string_view kRebuildOld = "torch._utils._rebuild_tensor";
constexpr std::string_view kParameter = "torch._utils._rebuild_parameter";
constexpr std::string_view kCalls[] = {"collections.OrderedDict", kRebuild, kRebuildOld, kParameter,
                                       "torch.Size"};

constexpr std::pair<std::string_view, DType> kStorages[] = {
    {"torch.FloatStorage", DType::kF32},     {"torch.HalfStorage", DType::kF16},
    {"torch.BFloat16Storage", DType::kBF16}, {"torch.DoubleStorage", DType::kF64},
    {"torch.LongStorage", DType::kI64},      {"torch.IntStorage", DType::kI32},
    {"torch.ShortStorage", DType::kI16},     {"torch.CharStorage", DType::kI8},
    {"torch.ByteStorage", DType::kU8},       {"torch.BoolStorage", DType::kBool}};

// Where a storage's bytes are, by its key.
using Storages = std::map<std::string, std::span<const std::byte>, std::less<>>;

class TensorReader {
  public:
    TensorReader(const Pickle& pickle, const std::shared_ptr<const WeightBytes>& bytes)
        : pickle_(pickle), bytes_(bytes) {}

    // What the pickle says of its storages, before their places are known: key, element type and count.
    struct Storage {
        std::string key;
        DType dtype = DType::kF32;
        std::int64_t count = 0;
    };
    Storage storage_of(const PickleValue& value) const {
        if (value.kind != Kind::kPersistent) broken("a tensor has no storage");
        const PickleValue& id = pickle_.at(value.items[0]);
        if (id.kind != Kind::kTuple || id.items.size() < 5 || word(id, 0) != "storage")
            broken("a storage is not described as one");
        const PickleValue& type = pickle_.at(id.items[1]);
        const auto* known = std::find_if(std::begin(kStorages), std::end(kStorages),
                                         [&](const auto& one) { return one.first == type.text; });
        if (type.kind != Kind::kName || known == std::end(kStorages))
            fail(ErrorCode::kUnsupported, "'" + path() + "' holds a tensor of " + quoted_name(type.text) +
                                              ", which is no element type of weights");
        const PickleValue& count = pickle_.at(id.items[4]);
        if (count.kind != Kind::kInt || count.integer < 0) broken("a storage has no size");
        if (id.items.size() > 5 && pickle_.at(id.items[5]).kind != Kind::kNone)
            fail(ErrorCode::kUnsupported,
                 "'" + path() + "' holds storages that are parts of others: save it with torch 1.6 or newer");
        return {std::string(word(id, 2)), known->second, count.integer};
    }

    FileTensors read(const Storages& storages) {
        storages_ = &storages;
        const PickleValue* root = &pickle_.root();
        if (const PickleValue* inner = member(*root, "state_dict"); inner != nullptr) root = inner;
        if (root->kind != Kind::kDict)
            fail(ErrorCode::kUnsupported,
                 "'" + path() + "' holds no dictionary of tensors, as model files do");
        walk(*root, "", 0);
        if (tensors_.empty()) fail(ErrorCode::kInvalidModel, "'" + path() + "' holds no tensors");
        return std::move(tensors_);
    }

  private:
    const std::string& path() const { return bytes_->path(); }
    [[noreturn]] void broken(const std::string& what) const {
        fail(ErrorCode::kInvalidModel, "'" + path() + "': " + what + ": download it again");
    }

    // "" where the item is no text.
    std::string_view word(const PickleValue& tuple, std::size_t item) const {
        const PickleValue& value = pickle_.at(tuple.items[item]);
        return value.kind == Kind::kText || value.kind == Kind::kBytes ? value.text : std::string_view();
    }

    const PickleValue* member(const PickleValue& value, std::string_view name) const {
        if (value.kind != Kind::kDict) return nullptr;
        for (std::size_t i = 0; i < value.items.size(); i += 2)
            if (word(value, i) == name && pickle_.at(value.items[i + 1]).kind == Kind::kDict)
                return &pickle_.at(value.items[i + 1]);
        return nullptr;
    }

    std::string key_text(const PickleValue& key) const {
        if (key.kind == Kind::kText || key.kind == Kind::kBytes) return std::string(key.text);
        if (key.kind == Kind::kInt) return std::to_string(key.integer);
        return "?";  // no name of a tensor: classes are keys of trainers' records
    }

    void walk(const PickleValue& value, const std::string& name, int depth) {
        if (++visits_ > kMostVisits) broken("it repeats too much of itself");
        if (depth > kMostDepth) broken("it is nested too deeply");
        if (name.size() > kMostNameBytes) broken("a name is too long");
        const std::string start = name.empty() ? "" : name + ".";
        if (value.kind == Kind::kCall && value.text != "torch.Size") return add(name, value);
        if (value.kind == Kind::kDict)
            for (std::size_t i = 0; i < value.items.size(); i += 2)
                walk(pickle_.at(value.items[i + 1]), start + key_text(pickle_.at(value.items[i])), depth + 1);
        if (value.kind == Kind::kList || value.kind == Kind::kTuple)
            for (std::size_t i = 0; i < value.items.size(); ++i)
                walk(pickle_.at(value.items[i]), start + std::to_string(i), depth + 1);
    }

    std::vector<std::int64_t> numbers(std::uint32_t id, const char* what, const std::string& name) const {
        const PickleValue* value = &pickle_.at(id);
        if (value->kind == Kind::kCall && value->text == "torch.Size" && value->items.size() == 1)
            value = &pickle_.at(value->items[0]);
        std::vector<std::int64_t> found;
        bool good = value->kind == Kind::kTuple && value->items.size() <= kMostRank;
        for (std::size_t i = 0; good && i < value->items.size(); ++i) {
            const PickleValue& one = pickle_.at(value->items[i]);
            good = one.kind == Kind::kInt && one.integer >= 0;
            found.push_back(one.integer);
        }
        if (!good) broken("tensor " + quoted_name(name) + " has no proper " + what);
        return found;
    }

    void add(const std::string& name, const PickleValue& call) {
        if (tensors_.size() >= kMostTensors) broken("it holds too many tensors");
        if (call.text == kParameter) {
            if (call.items.empty()) broken("parameter " + quoted_name(name) + " is empty");
            const PickleValue& inner = pickle_.at(call.items[0]);
            if (inner.kind != Kind::kCall || inner.text == kParameter || inner.text == "torch.Size")
                broken("parameter " + quoted_name(name) + " is no tensor");
            return add(name, inner);
        }
        if (call.items.size() < 4) broken("tensor " + quoted_name(name) + " is described in part");
        const Storage storage = storage_of(pickle_.at(call.items[0]));
        const auto place = storages_->find(storage.key);
        if (place == storages_->end())
            broken("the storage " + quoted_name(storage.key) + " of tensor " + quoted_name(name) +
                   " is not there");
        const PickleValue& offset = pickle_.at(call.items[1]);
        if (offset.kind != Kind::kInt || offset.integer < 0)
            broken("tensor " + quoted_name(name) + " has no proper place");
        const auto sizes = numbers(call.items[2], "shape", name);
        const auto strides = numbers(call.items[3], "strides", name);
        if (sizes.size() != strides.size()) broken("tensor " + quoted_name(name) + " has too few strides");
        const std::size_t element = dtype_size(storage.dtype);
        const auto available = static_cast<std::int64_t>(place->second.size() / element);
        if (storage.count > available)
            broken("the storage " + quoted_name(storage.key) + " has " + std::to_string(available) +
                   " elements, expected " + std::to_string(storage.count));
        check_extent(name, offset.integer, sizes, strides, storage.count);
        const std::byte* data = place->second.data() + static_cast<std::size_t>(offset.integer) * element;
        FileTensor tensor{{data, storage.dtype, Shape(sizes), name, nullptr}, bytes_};
        if (!is_contiguous(sizes, strides)) tensor = gathered(tensor, strides);
        if (!tensors_.emplace(name, std::move(tensor)).second)
            broken("two tensors are called " + quoted_name(name));
    }

    // Every element lies inside the storage, and there are no more of them than it has.
    void check_extent(const std::string& name, std::int64_t offset, const std::vector<std::int64_t>& sizes,
                      const std::vector<std::int64_t>& strides, std::int64_t count) const {
        constexpr std::int64_t kMostOfNothing = std::int64_t{1} << 48U;
        std::int64_t elements = 1, last = offset;
        bool good = offset <= count, empty = false;
        for (const std::int64_t size : sizes) empty = empty || size == 0;
        for (std::size_t i = 0; good && !empty && i < sizes.size(); ++i) {
            good = sizes[i] <= count / elements && (strides[i] == 0 || (sizes[i] - 1) <= count / strides[i]);
            if (!good) break;
            elements *= sizes[i];
            last += (sizes[i] - 1) * strides[i];
            good = last < count;
        }
        for (std::size_t i = 0; good && empty && i < sizes.size(); ++i) {
            if (sizes[i] == 0) continue;
            good = sizes[i] <= kMostOfNothing / elements;
            elements *= good ? sizes[i] : 1;
        }
        if (sizes.empty()) good = offset < count;
        if (!good) broken("tensor " + quoted_name(name) + " lies outside its storage");
    }

    static bool is_contiguous(const std::vector<std::int64_t>& sizes,
                              const std::vector<std::int64_t>& strides) {
        std::int64_t expected = 1;
        for (std::size_t i = sizes.size(); i-- > 0;) {
            if (sizes[i] == 0) return true;
            if (sizes[i] != 1 && strides[i] != expected) return false;
            expected *= sizes[i];
        }
        return true;
    }

    // A copy that lies row by row.
    FileTensor gathered(const FileTensor& tensor, const std::vector<std::int64_t>& strides) const {
        const Shape& shape = tensor.view.shape;
        const std::size_t element = dtype_size(tensor.view.dtype);
        std::vector<std::byte> copy(tensor.view.bytes());
        std::vector<std::int64_t> at(shape.rank(), 0);
        for (std::size_t done = 0; done < copy.size(); done += element) {
            std::int64_t place = 0;
            for (std::size_t i = 0; i < at.size(); ++i) place += at[i] * strides[i];
            std::memcpy(&copy[done], tensor.view.data + static_cast<std::size_t>(place) * element, element);
            for (std::size_t i = at.size(); i-- > 0;) {
                if (++at[i] < shape.dims()[i]) break;
                at[i] = 0;
            }
        }
        const auto owned = std::make_shared<const OwnedBytes>(path(), std::move(copy));
        return {{owned->bytes().data(), tensor.view.dtype, shape, tensor.view.name, nullptr}, owned};
    }

    const Pickle& pickle_;
    const std::shared_ptr<const WeightBytes>& bytes_;
    const Storages* storages_ = nullptr;
    FileTensors tensors_;
    std::size_t visits_ = 0;
};

FileTensors read_archive(std::span<const std::byte> file, const std::shared_ptr<const WeightBytes>& bytes) {
    const ZipEntries entries = read_zip_entries(file, bytes->path());
    constexpr std::string_view kPickle = "data.pkl";
    const auto pickled = std::find_if(entries.begin(), entries.end(), [&](const auto& entry) {
        return entry.first == kPickle || entry.first.ends_with("/" + std::string(kPickle));
    });
    if (pickled == entries.end())
        fail(ErrorCode::kUnsupported,
             "'" + bytes->path() + "' is an archive without data.pkl, not PyTorch's");
    const std::string folder = pickled->first.substr(0, pickled->first.size() - kPickle.size());
    if (entries.contains(folder + "constants.pkl") && entries.contains(folder + "code/__torch__.py"))
        fail(ErrorCode::kUnsupported,
             "'" + bytes->path() + "' is a TorchScript program, expected the weights alone");
    if (const auto order = entries.find(folder + "byteorder"); order != entries.end())
        if (std::string_view(reinterpret_cast<const char*>(order->second.data()), order->second.size()) !=
            "little")
            fail(ErrorCode::kUnsupported, "'" + bytes->path() + "' was saved on a big-endian machine");
    Storages storages;
    const std::string start = folder + "data/";
    for (auto at = entries.lower_bound(start); at != entries.end() && at->first.starts_with(start); ++at)
        storages.emplace(at->first.substr(start.size()), at->second);
    const Pickle pickle(pickled->second, kCalls, bytes->path());
    return TensorReader(pickle, bytes).read(storages);
}

// Five pickles (a mark, the format's version, the machine, the tensors, the storages' keys), then the
// storages: for each key in turn how many elements, and these.
FileTensors read_old(std::span<const std::byte> file, const std::shared_ptr<const WeightBytes>& bytes) {
    const std::string& path = bytes->path();
    std::size_t at = 0;
    const auto next = [&] {
        Pickle pickle(file.subspan(at), kCalls, path);
        at += pickle.bytes();
        return pickle;
    };
    if (next().root().integer != kMagic)
        fail(ErrorCode::kUnsupported,
             "'" + path + "' is a pickle, but not one of PyTorch's: convert it to .safetensors");
    next();
    next();
    const Pickle pickle = next();
    const Pickle keys = next();
    TensorReader reader(pickle, bytes);
    std::map<std::string, DType, std::less<>> types;
    for (std::uint32_t id = 0; id < pickle.count(); ++id)
        if (pickle.at(id).kind == Kind::kPersistent) {
            const auto storage = reader.storage_of(pickle.at(id));
            types.emplace(storage.key, storage.dtype);
        }
    Storages storages;
    for (const std::uint32_t id : keys.root().items) {
        const std::string key(keys.at(id).text);
        const auto type = types.find(key);
        if (type == types.end() || file.size() - at < sizeof(std::uint64_t))
            fail(ErrorCode::kInvalidModel, "'" + path + "' is cut off: download it again");
        std::uint64_t count = 0;
        std::memcpy(&count, file.data() + at, sizeof count);
        at += sizeof count;
        const std::size_t element = dtype_size(type->second);
        if (count > (file.size() - at) / element)
            fail(ErrorCode::kInvalidModel, "'" + path + "' is cut off: download it again");
        const auto size = static_cast<std::size_t>(count) * element;
        storages.emplace(key, file.subspan(at, size));
        at += size;
    }
    return reader.read(storages);
}

}  // namespace

bool is_torch_file(const fs::path& path) {
    std::string extension = path.extension().string();
    std::transform(extension.begin(), extension.end(), extension.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    for (const std::string_view known : {".ckpt", ".pt", ".pth", ".bin"})
        if (extension == known) return true;
    return false;
}

FileTensors read_torch_tensors(std::span<const std::byte> file,
                               const std::shared_ptr<const WeightBytes>& bytes) {
    const std::string_view text(reinterpret_cast<const char*>(file.data()),
                                std::min<std::size_t>(file.size(), 4));
    if (text.starts_with("PK\x03\x04")) return read_archive(file, bytes);
    if (text.starts_with("\x80")) return read_old(file, bytes);
    fail(ErrorCode::kInvalidModel,
         "'" + bytes->path() +
             "' is no file of PyTorch's: neither an archive nor a pickle; download it "
             "again, or name it .safetensors if it is one");
}

FileTensors open_torch_file(const fs::path& path) {
    const auto file = std::make_shared<const TorchFile>(MappedFile(path));
    return read_torch_tensors(file->bytes(), file);
}

}  // namespace sdxl
