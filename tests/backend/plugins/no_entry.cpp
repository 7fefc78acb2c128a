// A library, but no plugin.
extern "C" int unrelated() {
    return 0;
}
