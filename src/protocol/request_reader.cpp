#include "protocol/request_reader.h"

#include <utility>

#include "protocol/commands.h"
#include "protocol/delivery.h"
#include "protocol/envelopes.h"
#include "protocol/key_names.h"

namespace sdxl {
namespace {

constexpr std::size_t kLongestCommand = 256;  // bytes
constexpr std::string_view kEnvelopeMembers[] = {"message_type", "action", "method"};

// The command as the host wrote it.
std::string command_as_sent(const SentObject& top) {
    for (const std::string_view name : kEnvelopeMembers) {
        const Json* sent = find_member(top, name);
        if (sent != nullptr && sent->is_string()) return sent->get<std::string>();
    }
    return "";
}

IdPlaces places_of_id(const std::string& command) {
    const bool cancel = command.size() <= kLongestCommand && fold_name(command).starts_with("cancel");
    return cancel ? IdPlaces::kOfCancel : IdPlaces::kAnywhere;
}

// Reads one request; makes one more for a request inside it.
class RequestReader {
  public:
    RequestReader(const SentObject& top, std::string_view line) : top_(top), line_(line) {}

    ReadRequest read() {
        const auto kind = envelope_kind(top_);
        result_.message.reply.command = command_as_sent(top_);
        find_id(top_, places_of_id(result_.message.reply.command), result_.message.reply);
        if (!kind) {
            report().missing(
                "expected a member 'message_type' or 'action' that says what to do, found neither; send for "
                "example {\"message_type\": \"status_request\", \"request_id\": \"1\"}",
                top_.pointer);
            return std::move(result_);
        }
        result_.message.reply.envelope = *kind;
        // The seven members of its answers are fixed.
        if (*kind != EnvelopeKind::kAction) result_.message.reply.id_name = "request_id";
        if (auto envelope = read_envelope(*kind, top_, report())) read_command(std::move(*envelope));
        return std::move(result_);
    }

    // A generation without an envelope around it.
    ReadRequest read_body() {
        Envelope envelope{EnvelopeKind::kMessage, nullptr, "inference", {top_}};
        validating_ = true;
        find_id(top_, IdPlaces::kAnywhere, result_.message.reply);
        read_command(std::move(envelope));
        return std::move(result_);
    }

    ReadRequest read_for_validation() {
        validating_ = true;
        for (const std::string_view name : kEnvelopeMembers)
            if (find_member(top_, name) != nullptr) return read();
        return read_body();
    }

  private:
    Report& report() { return result_.report; }

    void read_command(Envelope envelope) {
        if (envelope.command == "validate") {
            if (const auto subject = subject_of(envelope)) return validate(envelope, *subject);
            // The body stands beside the envelope's members.
            validating_ = true;
            envelope.command = "inference";
            read_members(envelope);
            result_.message.command = Command(validated_from(result_));
            result_.report = Report();
            return;
        }
        read_members(envelope);
    }

    void read_members(const Envelope& envelope) {
        const CommandRow& row = command_row(envelope.command);
        std::vector<SentObject> objects = envelope.levels;
        if (!row.schema.empty() && !objects.empty() && row.name != "validate")
            add_holders(objects, {"parameters", "request_data", "request"});
        normalise_levels(envelope, row, objects);
        read_delivery_of_levels();
        if (levels_.empty()) return;
        const CommandInput input{levels_, result_.message.reply, envelope.kind, line_, validating_};
        Command command = row.read(input, report());
        result_.message.reply.image_data = wants_image_data(command);
        result_.message.command = std::move(command);
    }

    void normalise_levels(const Envelope& envelope, const CommandRow& row,
                          const std::vector<SentObject>& objects) {
        const bool top_is_level = !objects.empty() && objects.front().object == top_.object;
        if (!top_is_level) outside_ = normalise(top_, schemas_of(&envelope, nullptr, {}), report());
        for (const SentObject& sent : objects) {
            const bool is_top = sent.object == top_.object;
            const BodyKind kind = row.has_body ? body_kind(sent) : BodyKind::kFlat;
            const auto schemas = schemas_of(is_top ? &envelope : nullptr, &row,
                                            row.has_body ? body_schemas(kind) : std::vector<const Schema*>());
            levels_.push_back({sent, normalise(sent, schemas, report()), kind});
        }
    }

    static std::vector<const Schema*> schemas_of(const Envelope* envelope, const CommandRow* row,
                                                 const std::vector<const Schema*>& body) {
        std::vector<const Schema*> schemas;
        if (envelope != nullptr && envelope->schema != nullptr) schemas.push_back(envelope->schema);
        if (row != nullptr && !row->schema.empty()) schemas.push_back(&Schema::named(row->schema));
        schemas.push_back(&Schema::named("delivery"));
        schemas.insert(schemas.end(), body.begin(), body.end());
        return schemas;
    }

    void read_delivery_of_levels() {
        std::vector<const Canonical*> innermost_first;
        for (auto level = levels_.rbegin(); level != levels_.rend(); ++level)
            innermost_first.push_back(&level->canonical);
        innermost_first.push_back(&outside_);
        read_delivery(innermost_first, result_.message);
    }

    static bool wants_image_data(const Command& command) {
        if (const auto* one = std::get_if<GenerationRequest>(&command)) return one->return_image_data;
        if (const auto* stages = std::get_if<StagesRequest>(&command))
            return !stages->stages.empty() && stages->stages.back().request.return_image_data;
        if (const auto* batch = std::get_if<BatchRequest>(&command))
            for (const BatchItem& item : batch->items)
                if (item.request.ok() && item.request.value().return_image_data) return true;
        return false;
    }

    // What a validate_request asks about, if it is an object of its own.
    static std::optional<SentObject> subject_of(const Envelope& envelope) {
        if (envelope.levels.empty()) return std::nullopt;
        std::vector<SentObject> objects{envelope.levels.back()};
        add_holders(objects, {"parameters", "request_data", "request"});
        if (objects.size() == 1) return std::nullopt;
        return objects.back();
    }

    void validate(const Envelope& envelope, const SentObject& subject) {
        read_members(envelope);
        result_.message.command =
            Command(validated_from(RequestReader(subject, line_).read_for_validation()));
    }

    ValidateRequest validated_from(const ReadRequest& subject) const {
        ValidateRequest validated;
        validated.findings = subject.report.findings(line_);
        validated.warnings = subject.report.warnings();
        const Result<Command>& command = subject.message.command;
        if (!command.ok()) return validated;
        // A request for validation inside one is taken for what it asks about.
        if (const auto* inner = std::get_if<ValidateRequest>(&command.value())) {
            validated.findings.insert(validated.findings.end(), inner->findings.begin(),
                                      inner->findings.end());
            validated.warnings.insert(validated.warnings.end(), inner->warnings.begin(),
                                      inner->warnings.end());
            validated.request = inner->request;
        } else if (const auto* request = std::get_if<GenerationRequest>(&command.value());
                   request != nullptr && validated.findings.empty()) {
            validated.request = *request;
        }
        return validated;
    }

    SentObject top_;
    std::string_view line_;
    bool validating_ = false;
    ReadRequest result_;
    Canonical outside_;  // the envelope's members, where the command's stand further inside
    std::vector<Level> levels_;
};

}  // namespace

ReadRequest read_request(const SentObject& top, std::string_view line) {
    return RequestReader(top, line).read();
}

ReplyTo reply_of_broken(const Json& line) {
    ReplyTo reply;
    const SentObject top{&line, ""};
    reply.command = command_as_sent(top);
    find_id(top, places_of_id(reply.command), reply);
    reply.id_name = "request_id";
    return reply;
}

}  // namespace sdxl
