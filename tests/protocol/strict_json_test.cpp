#include "protocol/strict_json.h"

#include "expect_message.h"

namespace sdxl {
namespace {

TEST(StrictJson, DuplicateMember) {
    expect_error(R"({"message_type":"status_request","data":{"a":1,"a":{"b":[1,{"c":2}]}}})",
                 ErrorCode::kInvalidRequest, "/data/a", "twice");
    const ParsedLine inner = parse_strict(R"({"list":[0,{"x/y":1,"x/y":2}]})");
    ASSERT_TRUE(inner.error);
    EXPECT_EQ(inner.error->pointer, "/list/1/x~1y");
}

TEST(StrictJson, DepthIsBounded) {
    const auto nested = [](int depth) {
        std::string line = "{\"a\":";
        for (int i = 1; i < depth; ++i) line += '[';
        for (int i = 1; i < depth; ++i) line += ']';
        return line + "}";
    };
    EXPECT_FALSE(parse_strict(nested(kMaxDepth)).error);
    const ParsedLine deep = parse_strict(nested(kMaxDepth + 1));
    ASSERT_TRUE(deep.error);
    EXPECT_NE(deep.error->message.find("64"), std::string::npos);
    EXPECT_TRUE(parse_strict(nested(200000)).error);
}

TEST(StrictJson, BrokenLines) {
    for (const std::string line :
         {"", "   ", "{", "[1]", "7", "\"text\"", "null", "{} {}", "{\"a\":NaN}", "{\"a\":Infinity}",
          "{\"a\":1e999}", "{\"a\":\"\xff\xfe\"}", "{\"a\":\"\xc3\"}", "{\"a\":\"\\ud800\"}", "{'a':1}",
          "{\"a\":1,}", "{\"a\" 1}", "{\"a\":01}", "hello"})
        expect_error(line, ErrorCode::kInvalidRequest, "");
}

TEST(StrictJson, IdOfABrokenLineIsEchoedInTheMessageEnvelope) {
    for (const char* line :
         {R"({"request_id":"r9","message_type":"status_request","data":{)",
          R"({"request_id":"r9","action":"get_status","x":1,"x":2})", R"({"a":1,"a":2,"request_id":"r9"})"}) {
        const Message message = parse_message(line);
        EXPECT_FALSE(message.command.ok());
        EXPECT_EQ(message.reply.id, "r9");
        EXPECT_EQ(message.reply.envelope, EnvelopeKind::kMessage);
        EXPECT_EQ(message.reply.id_name, "request_id");
    }
}

}  // namespace
}  // namespace sdxl
