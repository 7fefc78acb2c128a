#include "protocol/sent_order.h"

#include <cstdint>
#include <map>
#include <memory>

#include "protocol/strict_json.h"

namespace sdxl {
namespace {

// The pointers as a tree, so that a value that nobody asks about costs nothing but its reading.
struct Node {
    std::map<std::string, std::unique_ptr<Node>, std::less<>> inside;
    SentPlace place{SIZE_MAX, SIZE_MAX};
};

Node& node_at(Node& root, const std::string& pointer) {
    Node* node = &root;
    std::size_t at = 0;
    while (at < pointer.size()) {
        std::string name;
        for (++at; at < pointer.size() && pointer[at] != '/'; ++at) {
            if (pointer[at] == '~' && at + 1 < pointer.size())
                name += pointer[++at] == '0' ? '~' : '/';
            else
                name += pointer[at];
        }
        auto& inside = node->inside[name];
        if (!inside) inside = std::make_unique<Node>();
        node = inside.get();
    }
    return *node;
}

class Reader : public nlohmann::json_sax<Json> {
  public:
    explicit Reader(Node& root) : next_(&root) {}

    bool null() override { return value(); }
    bool boolean(bool) override { return value(); }
    bool number_integer(number_integer_t) override { return value(); }
    bool number_unsigned(number_unsigned_t) override { return value(); }
    bool number_float(number_float_t, const string_t&) override { return value(); }
    bool string(string_t&) override { return value(); }
    bool binary(binary_t&) override { return false; }

    bool start_object(std::size_t) override { return open(false); }
    bool end_object() override { return close(); }
    bool start_array(std::size_t) override { return open(true); }
    bool end_array() override { return close(); }
    bool key(string_t& name) override {
        next_ = find(stack_.back().node, name);
        return true;
    }
    bool parse_error(std::size_t, const std::string&, const nlohmann::detail::exception&) override {
        return false;
    }

  private:
    struct Frame {
        Node* node = nullptr;  // null: nobody asks about anything in here
        bool is_array = false;
        std::size_t index = 0;
    };

    static Node* find(Node* node, const std::string& name) {
        if (node == nullptr) return nullptr;
        const auto found = node->inside.find(name);
        return found == node->inside.end() ? nullptr : found->second.get();
    }

    Node* begin() {
        Node* node = next_;
        if (!stack_.empty() && stack_.back().is_array) {
            Frame& frame = stack_.back();
            node = frame.node == nullptr ? nullptr : find(frame.node, std::to_string(frame.index));
            ++frame.index;
        }
        ++ordinal_;
        if (node != nullptr) node->place.begin = ordinal_;
        return node;
    }

    bool value() {
        if (Node* node = begin()) node->place.end = ordinal_;
        return true;
    }

    bool open(bool is_array) {
        stack_.push_back({begin(), is_array, 0});
        return true;
    }

    bool close() {
        ++ordinal_;
        if (Node* node = stack_.back().node) node->place.end = ordinal_;
        stack_.pop_back();
        return true;
    }

    Node* next_;  // of the value that comes next, outside arrays
    std::vector<Frame> stack_;
    std::size_t ordinal_ = 0;
};

}  // namespace

std::vector<SentPlace> sent_places(std::string_view line, const std::vector<std::string>& pointers) {
    Node root;
    std::vector<const Node*> nodes;
    nodes.reserve(pointers.size());
    for (const std::string& pointer : pointers) nodes.push_back(&node_at(root, pointer));
    Reader reader(root);
    Json::sax_parse(line.begin(), line.end(), &reader);
    std::vector<SentPlace> places;
    places.reserve(nodes.size());
    for (const Node* node : nodes) places.push_back(node->place);
    return places;
}

}  // namespace sdxl
