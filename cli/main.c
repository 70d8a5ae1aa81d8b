/* The table of commands. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "cli.h"

const cli_command cli_commands[] = {
    {"inspect", "MODEL", "What the model is: inputs, operators, size, work, what is not supported.",
     "adze inspect model.onnx\nadze inspect model.onnx --shape image=1x3x224x224 --json\n"
     "adze inspect model.gguf --context 8192",
     cmd_inspect},
    {"graph", "MODEL", "Prints the graph, as read or after passes.",
     "adze graph model.onnx\nadze graph model.onnx --after all --format dot | dot -Tsvg > g.svg",
     cmd_graph},
    {"run", "MODEL", "Runs the model on inputs from .npy files and writes its outputs.",
     "adze run model.onnx --input image=x.npy --output-dir out\n"
     "adze run model.onnx --input x.npy --dump-values values",
     cmd_run},
    {"bench", "MODEL", "Latency, throughput and peak memory of a model on this machine.",
     "adze bench model.onnx --threads 1 --json\n"
     "adze bench model.onnx --shape image=8x3x224x224 --runs 100\n"
     "adze bench model.gguf --prompt 512 --generate 128\n"
     "adze bench model.gguf --help      (options for language models)",
     cmd_bench},
    {"profile", "MODEL", "Time per operator against what the machine could do.",
     "adze profile model.onnx\nadze profile model.onnx --threads 1 --shape image=1x3x224x224 "
     "--json",
     cmd_profile},
    {"eval", "MODEL", "Quality on labelled data, with intervals; checks requirements.",
     "adze eval model.onnx --data images/ --preprocess p.json --json\n"
     "adze eval int8.onnx --data test.npz --against model.onnx --require 'top1>=original-0.5%'",
     cmd_eval},
    {"device", "", "Processor, memory, measured bandwidth and arithmetic peaks per thread count.",
     "adze device\nadze device --threads 1 --json", cmd_device},
    {"optimize", "MODEL", "Finds the best model inside your limits, measured on this machine.",
     "adze optimize model.onnx --calibration train.npz --data test.npz --require "
     "'top1>=original-1%' "
     "--output out\n"
     "adze optimize model.onnx --data pictures/ --preprocess p.json --require 'size<=300KB' --goal "
     "size "
     "--budget 5m --output out\n"
     "adze optimize model-f16.gguf --calibration text.txt --require 'size<=90MB' --output out\n"
     "adze optimize model-f16.gguf --help      (options for language models)",
     cmd_optimize},
    {"cases", "DIR|MODEL",
     "Runs ONNX backend test cases (folders with model.onnx and test_data_set_*), or compares with "
     "ONNX Runtime node by node.",
     "adze cases node\nadze cases node --only 'test_conv*' --list results.tsv\n"
     "adze cases model.onnx --against onnxruntime --shape image=1x3x224x224",
     cmd_cases},
    {"convert", "IN OUT", "Writes a model in another format (by extension) or with fixed shapes.",
     "adze convert model.onnx plain.onnx\n"
     "adze convert model.onnx one.onnx --shape image=1x3x224x224\n"
     "adze convert huggingface-folder/ model.gguf\n"
     "adze convert model.gguf --help      (options for language models)",
     cmd_convert},
    {"quantize", "MODEL",
     "Applies one recipe: int8 (static, dynamic), smaller weights, float16; GGUF.",
     "adze quantize model.onnx --calibration images/ --preprocess p.json --output int8.onnx\n"
     "adze quantize model.onnx --scheme weight_only --set weights.type=int4 --output w4.onnx\n"
     "adze quantize model.onnx --recipe resolved.json --output int8.onnx\n"
     "adze quantize model-f16.gguf model-q4.gguf --type Q4_K_M\n"
     "adze quantize model-f16.gguf --help      (options for language models)",
     cmd_quantize},
    {"imatrix", "[MODEL]", "Importance matrix of a language model from text, for 'adze quantize'.",
     "adze imatrix model-f16.gguf --file text.txt --output m.gguf --chunks 100\n"
     "adze imatrix --merge a.gguf --merge b.dat --output both.gguf\n"
     "adze imatrix --show m.gguf",
     cmd_imatrix},
    {"generate", "MODEL",
     "Continues a text with a language model (GGUF, or a Hugging Face folder).",
     "adze generate model.gguf --prompt 'Once upon a time' --tokens 64\n"
     "adze generate model.gguf --prompt 'The sea' --temperature 0.8 --seed 1 --speed",
     cmd_generate},
    {"perplexity", "MODEL",
     "How well a language model predicts a text; how far it is from a reference.",
     "adze perplexity q4.gguf --file text.txt --kl-divergence f16.gguf\n"
     "adze perplexity f16.gguf --file text.txt --save-base f16.base",
     cmd_perplexity},
    {"embed", "MODEL", "Embeddings of texts by a language model, encoders such as BERT above all.",
     "adze embed all-MiniLM-L6-v2/ --text 'How do I bake bread?'\n"
     "adze embed model.gguf --file sentences.txt --json",
     cmd_embed},
    {"tokenize", "MODEL [ID...]", "Text to the token ids of a model's vocabulary, and back.",
     "adze tokenize model.gguf --file text.txt --ids\n"
     "adze tokenize tokenizer.json --text 'to be or not to be'\n"
     "adze tokenize model.gguf --decode 504 2026 3290",
     cmd_tokenize},
    {0},
};

static int print_overview(FILE *out)
{
    fprintf(out, "adze %s: takes trained models to small machines\n\nadze COMMAND ...\n\n",
            adze_version());
    for (const cli_command *c = cli_commands; c->name; c++)
        fprintf(out, "  %-10s %s\n", c->name, c->summary);
    fprintf(out, "\n'adze COMMAND --help' shows a command's options and examples.\n");
    return out == stdout ? 0 : 2;
}

/* A full disk may show only when the last of the output is written. */
static int flushed(int code)
{
    errno = 0;
    if (fflush(stdout) == 0 && !ferror(stdout))
        return code;
    fprintf(stderr, "adze: standard output: cannot write: %s\n",
            errno ? strerror(errno) : "some of it is lost");
    return code ? code : 5;
}

int main(int argc, char **argv)
{
    if (argc < 2)
        return print_overview(stderr);
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
        strcmp(argv[1], "help") == 0)
        return print_overview(stdout);
    if (strcmp(argv[1], "--version") == 0) {
        printf("adze %s\n", adze_version());
        return 0;
    }
    (void)signal(SIGXFSZ, SIG_IGN); /* a limit on files is an error of the write */
    for (const cli_command *c = cli_commands; c->name; c++)
        if (strcmp(argv[1], c->name) == 0)
            return flushed(c->run(c, argc - 2, argv + 2));
    fprintf(stderr, "adze: unknown command '%s'\n\n", argv[1]);
    return print_overview(stderr);
}
