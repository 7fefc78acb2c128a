#include "text/text_cleaning.h"

#include <gtest/gtest.h>

#include "text/html_entities.h"
#include "text/utf8.h"

namespace sdxl {
namespace {

TEST(TextCleaning, CollapsesWhiteSpaceOfAllKinds) {
    EXPECT_EQ(clean_text(" a\t\r\n b\xC2\xA0\xE3\x80\x80"
                         "c\x1f "),
              "a b c");
    EXPECT_EQ(clean_text(""), "");
    EXPECT_EQ(clean_text(" \n"), "");
}

TEST(TextCleaning, LowerCasesAllScripts) {
    EXPECT_EQ(clean_text("ÀÉØ ПРИВЕТ"), "àéø привет");
    EXPECT_EQ(clean_text("ΟΔΟΣ ΣΑΣ"), "οδος σας");
    EXPECT_EQ(clean_text("İ"), "i\u0307");
}

TEST(TextCleaning, ComposesUnlessToldOtherwise) {
    EXPECT_EQ(clean_text("cafe\u0301"), "caf\u00e9");
    EXPECT_EQ(clean_text("cafe\u0301", NormalForm::kAsWritten), "cafe\u0301");
}

TEST(TextCleaning, DecodesHtmlTwice) {
    EXPECT_EQ(clean_text("&amp;lt;b&amp;gt;"), "<b>");
    EXPECT_EQ(clean_text("fish &amp; chips&nbsp;!"), "fish & chips !");
}

TEST(TextCleaning, BytesThatAreNotUtf8BecomeReplacementCharacters) {
    EXPECT_EQ(clean_text("a\xFF"
                         "b"),
              "a\uFFFDb");
    EXPECT_EQ(clean_text("\xE6\x97"), "\uFFFD\uFFFD");            // cut off
    EXPECT_EQ(clean_text("\xC0\x80"), "\uFFFD\uFFFD");            // overlong
    EXPECT_EQ(clean_text("\xED\xA0\x80"), "\uFFFD\uFFFD\uFFFD");  // a surrogate
    EXPECT_EQ(clean_text(std::string("a\0b", 3)), std::string("a\0b", 3));
}

std::string decoded(std::string_view text) {
    return encode_utf8(decode_html_entities(decode_utf8(text)));
}

TEST(HtmlEntities, KnowsNumbersAndNames) {
    EXPECT_EQ(decoded("&#39;&#x27;&#X1F431;&apos;&quot;"), "''🐱'\"");
    EXPECT_EQ(decoded("&eacute;&Eacute;&yuml;&hellip;"), "éÉÿ…");
    EXPECT_EQ(decoded("&lt b &#65 c"), "< b A c");
}

TEST(HtmlEntities, LeavesWhatItDoesNotKnow) {
    for (const char* text :
         {"&", "& b", "&;", "&#;", "&#x;", "&#xg;", "&unknown;", "at&t", "&apos", "&mdash"})
        EXPECT_EQ(decoded(text), text);
}

TEST(HtmlEntities, NumbersThatAreNoCharacters) {
    EXPECT_EQ(decoded("&#0;&#xD800;&#x110000;&#99999999999999999999;"), "\uFFFD\uFFFD\uFFFD\uFFFD");
    EXPECT_EQ(decoded("&#x80;"), "€");
}

}  // namespace
}  // namespace sdxl
