/* What is written is read back the same: every conformance model, and one model of our own that has
 * every member of every struct. */
#include <stdio.h>

#include "onnx_compare.h"
#include "test.h"

/* --- a model with everything ----------------------------------------------------------------- */

static int64_t dims_2x3[] = {2, 3}, dims_3[] = {3}, dims_2[] = {2}, dims_0[] = {0};
static const float numbers[] = {1, -2, 0.5f, 4, 5, -0.0f};
static const int64_t places[] = {1, 4};
static const uint8_t packed[] = {0x21, 0x03};
static const adze_string words[] = {{"one", 3}, {"", 0}, {"t\0o", 3}};

#define BYTES(array) (const uint8_t *)(array), sizeof(array)
static adze_onnx_tensor tensors[] = {
    {"f32", 1, 2, dims_2x3, BYTES(numbers), false, "six numbers"},
    {"strings", 8, 1, dims_3, BYTES(words), false, ""},
    {"int4", 22, 1, dims_3, BYTES(packed), false, ""},
    {"empty", 1, 1, dims_0, NULL, 0, false, ""},
    {"scalar", 7, 0, NULL, (const uint8_t *)places, 8, false, ""},
    {"a type to come", 99, 1, dims_2, BYTES(numbers), false, ""},
};
static adze_onnx_sparse sparse[] = {
    {{"sparse", 1, 1, dims_2, (const uint8_t *)numbers, 8, false, ""},
     {"", 7, 1, dims_2, BYTES(places), false, ""},
     2,
     dims_2x3},
};

static adze_onnx_dim some_dims[] = {{1, NULL}, {0, NULL}, {-1, "batch"}, {-1, NULL}};
static const adze_onnx_type inner = {ADZE_ONNX_TENSOR, 1, 4, some_dims, NULL};
static adze_onnx_type types[] = {
    {ADZE_ONNX_TENSOR, 10, 0, NULL, NULL},     {ADZE_ONNX_TENSOR, 1, -1, NULL, NULL},
    {ADZE_ONNX_SEQUENCE, 0, -1, NULL, &inner}, {ADZE_ONNX_OPTIONAL, 0, -1, NULL, &inner},
    {ADZE_ONNX_MAP, 8, -1, NULL, &inner},      {ADZE_ONNX_SPARSE, 1, 4, some_dims, NULL},
    {ADZE_ONNX_OPAQUE, 0, -1, NULL, NULL},     {ADZE_ONNX_NO_TYPE, 0, -1, NULL, NULL},
    {ADZE_ONNX_SEQUENCE, 0, -1, NULL, NULL},
};

static float some_floats[] = {0, 1.5f, -3};
static int64_t some_ints[] = {0, -1, INT64_MAX, INT64_MIN};
static adze_onnx_graph leaf = {.name = "leaf", .doc = ""};
static adze_onnx_graph *graphs[] = {&leaf, &leaf};

#define ATTR(attr_name, attr_type)                                                                 \
    .name = attr_name, .ref_name = "", .type = ADZE_ONNX_ATTR_##attr_type
#define NO_STRING .s = {"", 0}
static adze_onnx_attr attrs[] = {
    {ATTR("float", FLOAT), NO_STRING, .f = 0},
    {ATTR("int", INT), NO_STRING, .i = -7},
    {ATTR("string", STRING), .s = {"a\0b", 3}},
    {ATTR("empty string", STRING), NO_STRING},
    {ATTR("tensor", TENSOR), NO_STRING, .count = 1, .tensors = tensors},
    {ATTR("graph", GRAPH), NO_STRING, .count = 1, .graphs = graphs},
    {ATTR("floats", FLOATS), NO_STRING, .count = 3, .floats = some_floats},
    {ATTR("no floats", FLOATS), NO_STRING},
    {ATTR("ints", INTS), NO_STRING, .count = 4, .ints = some_ints},
    {ATTR("strings", STRINGS), NO_STRING, .count = 3, .strings = (adze_string *)(uintptr_t)words},
    {ATTR("tensors", TENSORS), NO_STRING, .count = 6, .tensors = tensors},
    {ATTR("graphs", GRAPHS), NO_STRING, .count = 2, .graphs = graphs},
    {ATTR("sparse", SPARSE_TENSOR), NO_STRING, .count = 1, .sparse = sparse},
    {ATTR("sparses", SPARSE_TENSORS), NO_STRING, .count = 1, .sparse = sparse},
    {ATTR("type", TYPE_PROTO), NO_STRING, .count = 1, .type_proto = types},
    {ATTR("types", TYPE_PROTOS), NO_STRING, .count = 7, .type_proto = types},
    {.name = "reference", .ref_name = "outer", .type = ADZE_ONNX_ATTR_TENSOR, NO_STRING},
};

static const char *names[] = {"x", "", "\xc3\xbc"};
static adze_onnx_node nodes[] = {
    {"node", "Op", "domain", "overload", 3, 1, (int)ADZE_COUNT_OF(attrs), names, names, attrs},
    {"", "Bare", "", "", 0, 0, 0, NULL, NULL, NULL},
};
static adze_onnx_opset opsets[] = {{"", 21}, {"com.example", 1}};
static adze_onnx_meta meta[] = {{"key", "value"}, {"empty", ""}};
static adze_onnx_value values[ADZE_COUNT_OF(types)];
static adze_onnx_function function = {.name = "F",
                                      .domain = "com.example",
                                      .overload = "o",
                                      .input_count = 1,
                                      .inputs = names,
                                      .output_count = 1,
                                      .outputs = names,
                                      .attr_count = 1,
                                      .attrs = names,
                                      .attr_default_count = 3,
                                      .attr_defaults = attrs,
                                      .node_count = 2,
                                      .nodes = nodes,
                                      .opset_count = 2,
                                      .opsets = opsets,
                                      .value_info_count = 2,
                                      .value_info = values};

static adze_onnx_model everything(void)
{
    for (size_t i = 0; i < ADZE_COUNT_OF(types); i++)
        values[i] = (adze_onnx_value){names[i % 3], types[i]};
    int value_count = (int)ADZE_COUNT_OF(types);
    adze_onnx_graph graph = {.name = "graph",
                             .doc = "doc",
                             .node_count = 2,
                             .nodes = nodes,
                             .initializer_count = (int)ADZE_COUNT_OF(tensors),
                             .initializers = tensors,
                             .sparse_count = 1,
                             .sparse = sparse,
                             .input_count = value_count,
                             .inputs = values,
                             .output_count = 1,
                             .outputs = values,
                             .value_info_count = 3,
                             .value_info = values};
    return (adze_onnx_model){.ir_version = 10,
                             .model_version = -1,
                             .producer_name = "adze",
                             .producer_version = "0",
                             .domain = "d",
                             .doc = "text",
                             .graph = graph,
                             .opset_count = 2,
                             .opsets = opsets,
                             .function_count = 1,
                             .functions = &function,
                             .meta_count = 2,
                             .meta = meta};
}

/* --- there and back -------------------------------------------------------------------------- */

static void write_and_compare(const adze_onnx_model *model, const char *path,
                              const adze_onnx_write_options *options)
{
    adze_arena arena = {0};
    adze_error err = {0};
    adze_onnx_model *again;
    CHECK_OK(adze_onnx_write(model, path, options, &err), &err);
    CHECK_OK(adze_onnx_read(&again, path, &arena, &err), &err);
    onnx_compare_models(model, again);
    adze_onnx_close(again);
    adze_arena_free(&arena);
}

static void check_same_file(const char *a, const char *b)
{
    adze_error err = {0};
    char *x, *y;
    size_t x_size, y_size;
    CHECK_OK(adze_file_read(&x, &x_size, a, 1 << 30, &err), &err);
    CHECK_OK(adze_file_read(&y, &y_size, b, 1 << 30, &err), &err);
    CHECK_EQ(x_size, y_size);
    CHECK_BYTES(x, y, x_size);
    adze_free(x);
    adze_free(y);
}

TEST(every_member_comes_back)
{
    adze_onnx_model model = everything();
    const char *path = test_tmpfile("a.onnx");
    write_and_compare(&model, path, NULL);
    CHECK_EQ(adze_file_size(path), adze_onnx_measure(&model));
}

TEST(same_model_same_bytes)
{
    adze_onnx_model model = everything();
    adze_arena arena = {0};
    adze_onnx_model *again;
    const char *a = test_tmpfile("a.onnx"), *b = test_tmpfile("b.onnx");
    CHECK_OK(adze_onnx_write(&model, a, NULL, NULL), NULL);
    CHECK_OK(adze_onnx_read(&again, a, &arena, NULL), NULL);
    CHECK_OK(adze_onnx_write(again, b, NULL, NULL), NULL);
    check_same_file(a, b);
    CHECK_OK(adze_onnx_write(again, a, NULL, NULL), NULL); /* over the file that is mapped */
    onnx_compare_models(&model, again);
    check_same_file(a, b);
    adze_onnx_close(again);
    adze_arena_free(&arena);
}

TEST(external_data)
{
    adze_onnx_model model = everything();
    const char *path = test_tmpfile("a.onnx");
    adze_onnx_write_options options = {"a.weights", 8};
    write_and_compare(&model, path, &options);
    CHECK(adze_file_size(test_tmpfile("a.weights")) > 64);
    options.external_threshold = 0; /* 1024: nothing is that large */
    options.external_data = "b.weights";
    write_and_compare(&model, path, &options);
    CHECK(!adze_file_exists(test_tmpfile("b.weights")));
}

TEST(external_data_is_aligned_and_found)
{
    static float large[40000];
    int64_t dims[] = {40000};
    test_random_floats(large, ADZE_COUNT_OF(large), -1, 1, 1);
    adze_onnx_tensor both[] = {{"a", 2, 1, dims, (const uint8_t *)large, 40000, false, ""},
                               {"b", 1, 1, dims, BYTES(large), false, ""}};
    adze_onnx_model model = everything();
    model.graph.initializers = both;
    model.graph.initializer_count = 2;
    adze_onnx_write_options options = {"w", 0};
    const char *path = test_tmpfile("m.onnx");
    write_and_compare(&model, path, &options);
    CHECK_EQ(adze_file_size(test_tmpfile("w")), 40960 + sizeof large);
    adze_arena arena = {0};
    adze_onnx_model *again;
    CHECK_OK(adze_onnx_read(&again, path, &arena, NULL), NULL);
    const adze_onnx_tensor *b = &again->graph.initializers[1];
    CHECK(b->external && (uintptr_t)b->data % 4096 == 0);
    CHECK_EQ(again->mapping_count, 2);
    adze_onnx_close(again);
    adze_arena_free(&arena);
}

TEST(external_name_must_be_a_name)
{
    static const char *const bad[] = {"", ".", "..", "a/b", "/a", "m.onnx"};
    adze_onnx_model model = everything();
    for (size_t i = 0; i < ADZE_COUNT_OF(bad); i++) {
        adze_onnx_write_options options = {bad[i], 1};
        CHECK_FAILS(adze_onnx_write(&model, test_tmpfile("m.onnx"), &options, NULL),
                    ADZE_BAD_ARGUMENT, NULL);
    }
}

TEST(failing_leaves_nothing_behind)
{
    adze_onnx_model model = everything();
    adze_onnx_write_options options = {"w", 1};
    adze_error err = {0};
    CHECK_FAILS(adze_onnx_write(&model, test_tmpfile("none/m.onnx"), &options, &err),
                ADZE_NOT_FOUND, &err);
    adze_status status = ADZE_NO_MEMORY;
    for (long n = 1; status != ADZE_OK && n < 100; n++) {
        adze_alloc_fail_after(n);
        status = adze_onnx_write(&model, test_tmpfile("m.onnx"), &options, &err);
        adze_alloc_fail_after(0);
        CHECK(status == ADZE_OK || status == ADZE_NO_MEMORY);
        CHECK(status == ADZE_OK || !adze_file_exists(test_tmpfile("m.onnx")));
    }
    CHECK_EQ(status, ADZE_OK);
    adze_arena arena = {0};
    char **files;
    int count;
    CHECK_OK(adze_folder_list(&files, &count, test_tmpdir(), &arena, &err), &err);
    CHECK_EQ(count, 2);
    adze_arena_free(&arena);
}

TEST(reading_fails_cleanly_without_memory)
{
    adze_onnx_model model = everything();
    adze_onnx_write_options options = {"w", 1};
    CHECK_OK(adze_onnx_write(&model, test_tmpfile("m.onnx"), &options, NULL), NULL);
    adze_status status = ADZE_NO_MEMORY;
    for (long n = 1; status != ADZE_OK && n < 1000; n++) {
        adze_arena arena = {0};
        adze_onnx_model *again = NULL;
        adze_alloc_fail_after(n);
        status = adze_onnx_read(&again, test_tmpfile("m.onnx"), &arena, NULL);
        adze_alloc_fail_after(0);
        CHECK(status == ADZE_OK || status == ADZE_NO_MEMORY);
        adze_onnx_close(again);
        adze_arena_free(&arena);
    }
    CHECK_EQ(status, ADZE_OK);
}

/* --- damage ---------------------------------------------------------------------------------- */

/* Reads bytes that end where memory ends; only crashes and sanitizers can fail it. */
static adze_status read_guarded(const uint8_t *bytes, size_t size)
{
    void *base;
    adze_arena arena = {0};
    adze_error err = {0};
    adze_onnx_model *model = NULL;
    uint8_t *copy = test_guard_alloc(size, &base);
    memcpy(copy, bytes, size);
    adze_status status = adze_onnx_parse(&model, copy, size, NULL, &arena, &err);
    CHECK(status == ADZE_OK || status == ADZE_BAD_FILE);
    CHECK((status == ADZE_OK) == (err.message[0] == 0));
    adze_onnx_close(model);
    adze_arena_free(&arena);
    test_guard_free(base);
    return status;
}

TEST(damaged_files_are_refused_or_read)
{
    adze_onnx_model model = everything();
    char *bytes;
    size_t size;
    CHECK_OK(adze_onnx_write(&model, test_tmpfile("m.onnx"), NULL, NULL), NULL);
    CHECK_OK(adze_file_read(&bytes, &size, test_tmpfile("m.onnx"), 1 << 20, NULL), NULL);
    uint8_t *damaged = (uint8_t *)bytes;
    for (size_t i = 0; i < size; i++)
        (void)read_guarded(damaged, i);
    for (size_t i = 0; i < size; i++)
        for (int bit = 0; bit < 9; bit++) { /* 8: all of them */
            uint8_t mask = (uint8_t)(bit == 8 ? 0xff : 1 << bit);
            damaged[i] ^= mask;
            (void)read_guarded(damaged, size);
            damaged[i] ^= mask;
        }
    CHECK_EQ(read_guarded(damaged, size), ADZE_OK);
    adze_free(bytes);
}

/* --- the conformance models ------------------------------------------------------------------ */

static int sequence_size(const adze_onnx_sequence *s)
{
    int size = s->count;
    for (int i = 0; s->sequences && i < s->count; i++)
        size += sequence_size(&s->sequences[i]);
    return size;
}

/* A value of the test data, by the type that the graph gives it; false when there is no such file. */
static bool read_value(const char *folder, const char *side, int k, const adze_onnx_type *type)
{
    adze_arena arena = {0};
    adze_error err = {0};
    char *bytes;
    size_t size;
    char *path = adze_arena_printf(&arena, "%s/test_data_set_0/%s_%d.pb", folder, side, k);
    bool exists = adze_file_exists(path);
    if (exists)
        CHECK_OK(adze_file_read(&bytes, &size, path, 1 << 28, &err), &err);
    adze_onnx_tensor tensor = {0};
    adze_onnx_sequence sequence = {0};
    if (exists && type->kind == ADZE_ONNX_TENSOR) {
        CHECK_OK(adze_onnx_parse_tensor(&tensor, bytes, size, &arena, &err), &err);
        CHECK_EQ(tensor.type, type->elem);
    } else if (exists && type->kind == ADZE_ONNX_SEQUENCE) {
        CHECK_OK(adze_onnx_parse_sequence(&sequence, bytes, size, &arena, &err), &err);
        CHECK(sequence_size(&sequence) >= sequence.count);
    } else if (exists && type->kind == ADZE_ONNX_OPTIONAL) {
        CHECK_OK(adze_onnx_parse_optional(&sequence, bytes, size, &arena, &err), &err);
        CHECK(sequence.count <= 1);
    }
    if (exists)
        adze_free(bytes);
    adze_arena_free(&arena);
    return exists;
}

static void check_model(const char *folder)
{
    adze_arena arena = {0};
    adze_error err = {0};
    adze_onnx_model *model;
    printf("%s\n", folder);
    CHECK_OK(adze_onnx_read(&model, adze_path_join(&arena, folder, "model.onnx"), &arena, &err),
             &err);
    write_and_compare(model, test_tmpfile("m.onnx"), NULL);
    CHECK_EQ(adze_file_size(test_tmpfile("m.onnx")), adze_onnx_measure(model));
    adze_onnx_write_options options = {"m.data", 4};
    write_and_compare(model, test_tmpfile("m.onnx"), &options);
    const adze_onnx_graph *g = &model->graph;
    for (int k = 0; k < g->input_count && read_value(folder, "input", k, &g->inputs[k].type); k++)
        ;
    for (int k = 0; k < g->output_count && read_value(folder, "output", k, &g->outputs[k].type);
         k++)
        ;
    adze_onnx_close(model);
    adze_arena_free(&arena);
}

TEST(conformance_models_come_back)
{
    adze_arena arena = {0};
    char **cases;
    int count;
    const char *root = test_need_unpacked("conformance/onnx-node-visible.tar.xz");
    const char *folder = adze_path_join(&arena, root, "node");
    CHECK_OK(adze_folder_list(&cases, &count, folder, &arena, NULL), NULL);
    CHECK(count > 1000);
    for (int i = 0; i < count; i++)
        check_model(adze_path_join(&arena, folder, cases[i]));
    adze_arena_free(&arena);
}
