/* 'adze cases' with --against: cmd_cases.c walks the folders, cases_against.c compares. */
#ifndef ADZE_CLI_CASES_H
#define ADZE_CLI_CASES_H
#include "adze/peers.h"
#include "cli.h"

enum { CASE_INPUTS = 64, CASE_REASON = 512 };
typedef enum case_outcome { CASE_PASSED, CASE_FAILED, CASE_SKIPPED } case_outcome;

/* The case in `folder` on the inputs of its first set; `why` says what differs, or why it was not compared. */
case_outcome cases_compare(adze_context *context, adze_peer *peer, const char *folder, char *why);

/* A model file on inputs from files, or random ones; prints, and returns the exit code. */
int cases_compare_model(cli_model *m, const char *path, const cli_list *files, const char *library);

/* "onnxruntime", or the path of its library. Returns 0, or prints and returns the exit code. */
int cases_open_peer(adze_peer **peer, const char *against);

#endif
