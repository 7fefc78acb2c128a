#include "protocol/delivery.h"

#include "protocol/json_values.h"
#include "protocol/members.h"

namespace sdxl {
namespace {

constexpr std::size_t kLongestId = 1024;  // bytes

bool take_id(const SentObject& sent, std::string_view name, ReplyTo& reply) {
    const Json* value = find_member(sent, name);
    if (value == nullptr) return false;
    if (value->is_string()) {
        const auto& text = value->get_ref<const std::string&>();
        if (text.size() > kLongestId || text.find('\0') != std::string::npos) return false;
        reply.id = text;
        reply.id_is_number = false;
    } else if (value->is_number_integer()) {
        reply.id = value->dump();
        reply.id_is_number = true;
    } else if (const auto whole = value->is_number_float() ? as_integer(*value) : std::nullopt) {
        reply.id = std::to_string(*whole);
        reply.id_is_number = true;
    } else {
        return false;
    }
    reply.id_name = name;
    return true;
}

bool take_any_id(const SentObject& sent, ReplyTo& reply) {
    return take_id(sent, "request_id", reply) || take_id(sent, "session_id", reply);
}

SentObject object_in(const SentObject& sent, std::string_view name) {
    const Json* value = find_member(sent, name);
    return {value != nullptr && value->is_object() ? value : nullptr, ""};
}

struct Delivery {
    std::optional<Field<std::string>> worker;
    std::optional<Field<std::string>> priority;
    std::optional<Field<double>> timeout;
    std::optional<ProgressWish> progress;

    void fill_from(const Members& members) {
        if (!worker) worker = members.text("worker_type");
        if (!priority) priority = members.text("priority");
        if (!timeout) timeout = members.number("timeout");
        if (!progress) progress = wish(members);
    }

    static std::optional<ProgressWish> wish(const Members& members) {
        if (const auto wanted = members.flag("progress"))
            return ProgressWish{wanted->value ? 1 : 0, false, ""};
        const Members options = members.object("progress");
        const auto every = options.integer("every");
        const auto preview = options.flag("preview");
        const auto vae = options.text("preview_vae");
        if (!every && !preview && !vae) return std::nullopt;
        // Who names a VAE for previews wants them.
        const bool wanted = preview ? preview->value : vae.has_value();
        return ProgressWish{every ? static_cast<int>(every->value) : 1, wanted, vae ? vae->value : ""};
    }
};

}  // namespace

void find_id(const SentObject& top, IdPlaces places, ReplyTo& reply) {
    if (places == IdPlaces::kOfCancel) {
        if (!take_id(top, "session_id", reply)) take_id(top, "request_id", reply);
        return;
    }
    if (take_any_id(top, reply)) return;
    for (const char* holder : {"data", "request", "request_data", "parameters", "metadata"}) {
        const SentObject inner = object_in(top, holder);
        if (inner.object == nullptr) continue;
        if (take_any_id(inner, reply)) return;
        const SentObject metadata = object_in(inner, "metadata");
        if (metadata.object != nullptr && take_id(metadata, "request_id", reply)) return;
    }
}

void read_delivery(std::span<const Canonical* const> innermost_first, Message& message) {
    Delivery delivery;
    for (const Canonical* canonical : innermost_first) {
        const Members members(*canonical);
        delivery.fill_from(members);
        delivery.fill_from(members.object("metadata"));
    }
    if (delivery.worker) message.worker = delivery.worker->value;
    if (delivery.priority)
        message.priority = parse_priority(delivery.priority->value).value_or(message.priority);
    if (delivery.timeout) message.timeout_seconds = delivery.timeout->value;
    if (delivery.progress) message.progress = *delivery.progress;
}

}  // namespace sdxl
