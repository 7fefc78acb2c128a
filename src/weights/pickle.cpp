#include "weights/pickle.h"

#include <algorithm>
#include <optional>

#include "core/error.h"
#include "weights/safetensors_header.h"

namespace sdxl {
namespace {

using Kind = PickleValue::Kind;
using Id = std::uint32_t;

constexpr std::size_t kMostBytes = std::size_t{16} << 20U;
constexpr std::size_t kMostValues = std::size_t{1} << 20U;
constexpr std::size_t kMostMemo = std::size_t{1} << 20U;
constexpr std::size_t kMostMarks = 256;
constexpr std::size_t kMostNameBytes = 256;
constexpr int kNewestProtocol = 5;

}  // namespace

class PickleReader {
  public:
    PickleReader(Pickle& pickle, std::span<const std::byte> bytes, std::span<const std::string_view> calls,
                 const std::string& path)
        : pickle_(pickle),
          bytes_(bytes.first(std::min(bytes.size(), kMostBytes))),
          calls_(calls),
          path_(path) {}

    void read() {
        while (!step(number<std::uint8_t>())) {
        }
        pickle_.root_ = pop();
        pickle_.used_ = at_;
    }

  private:
    [[noreturn]] void broken(const std::string& what) const {
        fail(ErrorCode::kInvalidModel, "'" + path_ + "': broken pickle, " + what + "; download it again");
    }
    [[noreturn]] void refuse(const std::string& what) const {
        fail(ErrorCode::kUnsupported, "'" + path_ + "' holds " + what +
                                          ": not a tensor, and nothing in it is executed; use a .safetensors "
                                          "version of it");
    }

    // --- bytes
    std::span<const std::byte> take(std::uint64_t count) {
        if (count > bytes_.size() - at_) broken("it ends too early");
        const auto part = bytes_.subspan(at_, static_cast<std::size_t>(count));
        at_ += part.size();
        return part;
    }
    template <class T>
    T number() {
        std::uint64_t value = 0;
        const auto part = take(sizeof(T));
        for (std::size_t i = part.size(); i-- > 0;)
            value = (value << 8U) | std::to_integer<std::uint64_t>(part[i]);
        return static_cast<T>(value);
    }
    std::string_view text(std::uint64_t count) {
        const auto part = take(count);
        return {reinterpret_cast<const char*>(part.data()), part.size()};
    }
    std::string_view line() {
        const std::size_t begin = at_;
        while (number<char>() != '\n')
            if (at_ - begin > kMostNameBytes) broken("a name is too long");
        return {reinterpret_cast<const char*>(bytes_.data()) + begin, at_ - begin - 1};
    }

    // --- values
    Id make(PickleValue value) {
        if (pickle_.values_.size() >= kMostValues) broken("it holds too many values");
        pickle_.values_.push_back(std::move(value));
        return static_cast<Id>(pickle_.values_.size() - 1);
    }
    PickleValue& value(Id id) { return pickle_.values_[id]; }
    void push(PickleValue one) { stack_.push_back(make(std::move(one))); }
    void push(Kind kind) { push(PickleValue{kind}); }
    void push_text(Kind kind, std::string_view text) { push(PickleValue{kind, 0, text}); }
    void push_int(std::int64_t integer) { push(PickleValue{Kind::kInt, integer}); }
    // What stands above the last mark belongs to it.
    std::size_t floor() const { return marks_.empty() ? 0 : marks_.back(); }
    Id pop() {
        if (stack_.size() <= floor()) broken("it takes a value where there is none");
        const Id id = stack_.back();
        stack_.pop_back();
        return id;
    }
    Id top() const {
        if (stack_.size() <= floor()) broken("it takes a value where there is none");
        return stack_.back();
    }
    std::vector<Id> pop_to_mark() {
        if (marks_.empty()) broken("it takes a list that did not begin");
        const std::size_t begin = marks_.back();
        marks_.pop_back();
        std::vector<Id> items(stack_.begin() + static_cast<std::ptrdiff_t>(begin), stack_.end());
        stack_.resize(begin);
        return items;
    }
    void push_items(Kind kind, std::vector<Id> items) { push(PickleValue{kind, 0, {}, std::move(items)}); }
    void push_tuple_of(int count) {
        std::vector<Id> items(static_cast<std::size_t>(count));
        for (std::size_t i = items.size(); i-- > 0;) items[i] = pop();
        push_items(Kind::kTuple, std::move(items));
    }
    void append_to(Kind kind, const std::vector<Id>& items) {
        PickleValue& target = value(top());
        if (target.kind != kind) broken("it adds items to what has none");
        if (kind == Kind::kDict && items.size() % 2 != 0) broken("a key has no value");
        target.items.insert(target.items.end(), items.begin(), items.end());
    }

    // --- the memo
    void put(std::uint64_t place) {
        if (place >= kMostMemo) broken("it remembers too many values");
        if (place >= memo_.size()) memo_.resize(static_cast<std::size_t>(place) + 1);
        memo_[static_cast<std::size_t>(place)] = top();
    }
    void get(std::uint64_t place) {
        if (place >= memo_.size() || !memo_[static_cast<std::size_t>(place)])
            broken("it takes up a value that it did not remember");
        stack_.push_back(*memo_[static_cast<std::size_t>(place)]);
        if (stack_.size() > kMostValues) broken("it holds too many values");
    }

    // --- names and calls
    void push_name(std::string_view module, std::string_view name) {
        if (module.size() + name.size() > kMostNameBytes) broken("a name is too long");
        pickle_.names_.push_back(std::string(module) + "." + std::string(name));
        push_text(Kind::kName, pickle_.names_.back());
    }
    void call() {
        const Id arguments = pop(), callee = pop();
        if (value(callee).kind != Kind::kName || value(arguments).kind != Kind::kTuple)
            broken("it calls what is no function");
        const std::string_view name = value(callee).text;
        if (std::find(calls_.begin(), calls_.end(), name) == calls_.end())
            refuse("a call of " + quoted_name(name));
        if (name == "collections.OrderedDict") {
            if (!value(arguments).items.empty()) refuse("an OrderedDict that is made of a list");
            return push(Kind::kDict);
        }
        push(PickleValue{Kind::kCall, 0, name, value(arguments).items});
    }
    // A dictionary's attributes (torch's _metadata) are of no use.
    void build() {
        pop();
        const PickleValue& target = value(top());
        if (target.kind != Kind::kDict)
            refuse("an object with a state" +
                   (target.text.empty() ? std::string() : ", of " + quoted_name(target.text)));
    }

    std::int64_t long_integer(std::uint64_t count) {
        const auto part = take(count);
        std::uint64_t value = 0;
        const bool negative = !part.empty() && std::to_integer<int>(part.back()) >= 128;
        for (std::size_t i = std::min<std::size_t>(part.size(), 8); i-- > 0;)
            value = (value << 8U) | std::to_integer<std::uint64_t>(part[i]);
        if (negative && part.size() < 8) value |= ~std::uint64_t{0} << (8 * part.size());
        return static_cast<std::int64_t>(value);
    }

    // True at the end.
    bool step(std::uint8_t code) {
        return code < 0x80 ? step_of_old(static_cast<char>(code)) : step_of_new(code);
    }

    bool step_of_old(char code) {
        switch (code) {
            case '.':
                return true;
            case '(':
                if (marks_.size() >= kMostMarks) broken("it is nested too deeply");
                marks_.push_back(stack_.size());
                break;
            case '0':
                pop();
                break;
            case '1':
                pop_to_mark();
                break;
            case '2':
                stack_.push_back(top());
                if (stack_.size() > kMostValues) broken("it holds too many values");
                break;
            case 'N':
                push(Kind::kNone);
                break;
            case 'J':
                push_int(number<std::int32_t>());
                break;
            case 'K':
                push_int(number<std::uint8_t>());
                break;
            case 'M':
                push_int(number<std::uint16_t>());
                break;
            case 'G':
                take(8);
                push(Kind::kFloat);
                break;
            case 'X':
                push_text(Kind::kText, text(number<std::uint32_t>()));
                break;
            case 'T':
                push_text(Kind::kBytes, text(number<std::uint32_t>()));
                break;
            case 'U':
            case 'C':
                push_text(Kind::kBytes, text(number<std::uint8_t>()));
                break;
            case 'B':
                push_text(Kind::kBytes, text(number<std::uint32_t>()));
                break;
            case ')':
                push(Kind::kTuple);
                break;
            case ']':
                push(Kind::kList);
                break;
            case '}':
                push(Kind::kDict);
                break;
            case 't':
                push_items(Kind::kTuple, pop_to_mark());
                break;
            case 'l':
                push_items(Kind::kList, pop_to_mark());
                break;
            case 'd': {
                push(Kind::kDict);  // above the mark's own
                const Id made = pop();
                auto items = pop_to_mark();
                stack_.push_back(made);
                append_to(Kind::kDict, items);
                break;
            }
            case 'a':
                append_to(Kind::kList, {pop()});
                break;
            case 'e':
                append_to(Kind::kList, pop_to_mark());
                break;
            case 's': {
                const Id item = pop(), key = pop();
                append_to(Kind::kDict, {key, item});
                break;
            }
            case 'u':
                append_to(Kind::kDict, pop_to_mark());
                break;
            case 'q':
                put(number<std::uint8_t>());
                break;
            case 'r':
                put(number<std::uint32_t>());
                break;
            case 'h':
                get(number<std::uint8_t>());
                break;
            case 'j':
                get(number<std::uint32_t>());
                break;
            case 'Q': {
                const Id id = pop();
                push_items(Kind::kPersistent, {id});
                break;
            }
            case 'c': {
                const auto module = line();
                push_name(module, line());
                break;
            }
            case 'R':
                call();
                break;
            case 'b':
                build();
                break;
            default:
                unknown(static_cast<unsigned char>(code));
        }
        return false;
    }

    bool step_of_new(std::uint8_t code) {
        switch (code) {
            case 0x80:
                if (number<std::uint8_t>() > kNewestProtocol) broken("it is of a newer protocol than 5");
                break;
            case 0x81:
                call();
                break;
            case 0x85:
            case 0x86:
            case 0x87:
                push_tuple_of(code - 0x84);
                break;
            case 0x88:
            case 0x89:
                push(PickleValue{Kind::kBool, code == 0x88 ? 1 : 0});
                break;
            case 0x8a:
                push_int(long_integer(number<std::uint8_t>()));
                break;
            case 0x8c:
                push_text(Kind::kText, text(number<std::uint8_t>()));
                break;
            case 0x8d:
                push_text(Kind::kText, text(number<std::uint64_t>()));
                break;
            case 0x8e:
                push_text(Kind::kBytes, text(number<std::uint64_t>()));
                break;
            case 0x8f:
                push(Kind::kList);  // a set
                break;
            case 0x90:
                append_to(Kind::kList, pop_to_mark());
                break;
            case 0x93: {
                const Id name = pop(), module = pop();
                if (value(name).kind != Kind::kText || value(module).kind != Kind::kText)
                    broken("a name is no text");
                push_name(value(module).text, value(name).text);
                break;
            }
            case 0x94:
                put(memo_.size());
                break;
            case 0x95:
                take(8);  // a frame's length, which only helps to buffer
                break;
            default:
                unknown(code);
        }
        return false;
    }

    [[noreturn]] void unknown(unsigned code) const {
        constexpr const char* kDigits = "0123456789abcdef";
        refuse(std::string("the pickle instruction 0x") + kDigits[code >> 4U & 15U] + kDigits[code & 15U]);
    }

    Pickle& pickle_;
    std::span<const std::byte> bytes_;
    std::span<const std::string_view> calls_;
    const std::string& path_;
    std::size_t at_ = 0;
    std::vector<Id> stack_;
    std::vector<std::size_t> marks_;
    std::vector<std::optional<Id>> memo_;
};

Pickle::Pickle(std::span<const std::byte> bytes, std::span<const std::string_view> calls,
               const std::string& path) {
    PickleReader(*this, bytes, calls, path).read();
}

}  // namespace sdxl
