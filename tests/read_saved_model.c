/* Runs requests on a SavedModel through TensorFlow's C API, without Python.

     read_saved_model SAVED_MODEL REQUESTS ANSWERS

   test_foreign_readers.py compiles and calls it, and writes the requests. Each is

     <inputs> <outputs>
     <operation> <index> <dtype> <rank> <size of each axis> <bytes>      for each input; then its bytes
     <operation> <index>                                                for each output

   and its answer is

     <status> <bytes of the message> <outputs, or 0 where the status isn't OK>; then the message
     <dtype> <rank> <size of each axis> <bytes>                         for each output; then its bytes
*/

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tensorflow/c/c_api.h"

enum { MOST = 8 };

static void stop(const char* message) {
  fprintf(stderr, "%s\n", message);
  exit(1);
}

static FILE* opened(const char* path, const char* mode) {
  FILE* file = fopen(path, mode);
  if (file == NULL) stop(path);
  return file;
}

static TF_Output read_output(FILE* file, TF_Graph* graph) {
  char name[256];
  int index;
  if (fscanf(file, " %255s %d", name, &index) != 2) stop("no operation");
  TF_Output output = {TF_GraphOperationByName(graph, name), index};
  if (output.oper == NULL) stop(name);
  return output;
}

static TF_Tensor* read_tensor(FILE* file) {
  int dtype, rank;
  int64_t sizes[MOST];
  size_t bytes;
  if (fscanf(file, "%d %d", &dtype, &rank) != 2 || rank > MOST) stop("no dtype and rank");
  for (int axis = 0; axis < rank; ++axis)
    if (fscanf(file, "%ld", &sizes[axis]) != 1) stop("no size");
  if (fscanf(file, "%zu", &bytes) != 1 || fgetc(file) != '\n') stop("no bytes");
  TF_Tensor* tensor = TF_AllocateTensor(dtype, sizes, rank, bytes);
  if (fread(TF_TensorData(tensor), 1, bytes, file) != bytes) stop("cut short");
  return tensor;
}

static void write_tensor(FILE* file, const TF_Tensor* tensor) {
  fprintf(file, "%d %d", TF_TensorType(tensor), TF_NumDims(tensor));
  for (int axis = 0; axis < TF_NumDims(tensor); ++axis)
    fprintf(file, " %ld", TF_Dim(tensor, axis));
  fprintf(file, " %zu\n", TF_TensorByteSize(tensor));
  fwrite(TF_TensorData(tensor), 1, TF_TensorByteSize(tensor), file);
}

static void answer(FILE* requests, FILE* answers, TF_Session* session, TF_Graph* graph,
                   int num_inputs, int num_outputs) {
  TF_Output inputs[MOST], outputs[MOST];
  TF_Tensor *given[MOST], *made[MOST];
  for (int i = 0; i < num_inputs; ++i) {
    inputs[i] = read_output(requests, graph);
    given[i] = read_tensor(requests);
  }
  for (int i = 0; i < num_outputs; ++i) outputs[i] = read_output(requests, graph);
  TF_Status* status = TF_NewStatus();
  TF_SessionRun(session, NULL, inputs, given, num_inputs, outputs, made, num_outputs, NULL, 0, NULL,
                status);
  int count = TF_GetCode(status) == TF_OK ? num_outputs : 0;
  const char* message = TF_Message(status);
  fprintf(answers, "%d %zu %d\n%s", TF_GetCode(status), strlen(message), count, message);
  for (int i = 0; i < count; ++i) {
    write_tensor(answers, made[i]);
    TF_DeleteTensor(made[i]);
  }
  for (int i = 0; i < num_inputs; ++i) TF_DeleteTensor(given[i]);
  TF_DeleteStatus(status);
}

int main(int count, char** arguments) {
  if (count != 4) stop("usage: read_saved_model SAVED_MODEL REQUESTS ANSWERS");
  FILE* requests = opened(arguments[2], "rb");
  FILE* answers = opened(arguments[3], "wb");
  const char* tags[] = {"serve"};
  TF_Graph* graph = TF_NewGraph();
  TF_Status* status = TF_NewStatus();
  TF_Session* session = TF_LoadSessionFromSavedModel(TF_NewSessionOptions(), NULL, arguments[1],
                                                     tags, 1, graph, NULL, status);
  if (TF_GetCode(status) != TF_OK) stop(TF_Message(status));
  int num_inputs, num_outputs;
  while (fscanf(requests, "%d %d", &num_inputs, &num_outputs) == 2) {
    if (num_inputs > MOST || num_outputs > MOST) stop("too many tensors");
    answer(requests, answers, session, graph, num_inputs, num_outputs);
  }
  return fclose(answers);
}
