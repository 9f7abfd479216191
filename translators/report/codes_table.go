package report

var codes = []Row{}
